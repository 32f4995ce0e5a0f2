// npm `realtime-pubsub-client` against the gateway, and with the Rust client as its peer.
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import published from 'realtime-pubsub-client'
import { Gateway } from './process.mjs'

const { RealtimeClient } = published
const OPEN = { timeout: 30_000 }

let gateway
const clients = []
const peers = []

before(async () => {
  gateway = await Gateway.start()
})
after(() => gateway.stop())
afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect()
  await Promise.all(peers.splice(0).map((peer) => peer.stop()))
})

/** A client in a session, and what its welcome said. */
async function connected(url = gateway.url) {
  const client = new RealtimeClient({ websocketOptions: { urlProvider: () => url } })
  client.on('error', () => {})
  clients.push(client)
  const started = client.waitFor('session.started', { timeout: 20_000 })
  await client.connect()
  const [info] = await started
  return { client, info }
}

async function peer(ready, ...args) {
  const running = await gateway.peer(ready, ...args)
  peers.push(running)
  return running
}

/** Subscribed, and known to be: an ack comes after all that was asked for before it. */
async function subscribed(client, topic) {
  client.subscribeRemoteTopic(topic)
  await client.publish('interop/barrier', 0).waitForAck()
}

/** The next event, as its listener's arguments. */
const next = (client, event) => client.waitFor(event, { timeout: 20_000 })

describe('npm client and the gateway', OPEN, () => {
  it('connects and is told who it is', async () => {
    const { info } = await connected()
    assert.ok(info.id)
    assert.equal(info.appId, 'local')
    assert.match(info.remoteAddress, /127\.0\.0\.1/)
  })

  it('gets what it publishes, and the ack', async () => {
    const { client, info } = await connected()
    await subscribed(client, 'chat')
    const message = next(client, 'chat.text')
    await client.publish('chat', { text: 'Grüße' }, { messageType: 'text', id: 'one' }).waitForAck()
    const [incoming] = await message
    assert.deepEqual(incoming.data.payload, { text: 'Grüße' })
    assert.equal(incoming.data.id, 'one')
    assert.equal(incoming.data.client.connectionId, info.id)
    assert.equal(incoming.data.client.subject, 'developer')
    assert.ok(incoming.data.client.permissions.includes('realtime:publisher:write:topic:*'))
    assert.equal(incoming.compression, false)
  })

  it('gets no more after it unsubscribed', async () => {
    const { client } = await connected()
    await subscribed(client, 'chat')
    client.unsubscribeRemoteTopic('chat')
    let heard = 0
    client.on('chat.*', () => heard++)
    await client.publish('chat', 1).waitForAck()
    await client.publish('chat', 2).waitForAck()
    assert.equal(heard, 0)
  })

  it('replies to another of its kind, with a status', async () => {
    const [{ client: asker }, { client: answerer }] = [await connected(), await connected()]
    await subscribed(answerer, 'math')
    answerer.on('math.square', (message, reply) => reply(message.data.payload ** 2, 'squared'))
    const [reply] = await asker.publish('math', 12, { messageType: 'square', id: 'm1' }).waitForReply()
    assert.deepEqual(reply, { data: 144, status: 'squared', id: 'm1' })
  })

  it('sends, and is answered from secure/inbound', async () => {
    const [{ client: sender }, { client: backend }] = [await connected(), await connected()]
    await subscribed(backend, 'secure/inbound')
    backend.on('secure/inbound.order', (message, reply) => reply({ got: message.data.payload }))
    const waiter = sender.send({ item: 7 }, { messageType: 'order' })
    const [[reply]] = await Promise.all([waiter.waitForReply(), waiter.waitForAck()])
    assert.deepEqual(reply.data, { got: { item: 7 } })
  })

  it('sees others come and go', async () => {
    const { client: watcher } = await connected()
    await subscribed(watcher, 'secure/inbound')
    const came = next(watcher, 'secure/inbound.presence')
    const { client: other, info } = await connected()
    const [presence] = await came
    assert.deepEqual(presence.data.payload, { code: 0, status: 'connected' })
    assert.equal(presence.data.client.connectionId, info.id)
    const went = next(watcher, 'secure/inbound.presence')
    other.disconnect()
    assert.deepEqual((await went)[0].data.payload, { code: -1, status: 'disconnected' })
  })

  it('gets what is published with `compress` as binary', async () => {
    const { client } = await connected()
    await subscribed(client, 'zip')
    const message = next(client, 'zip.broadcast')
    client.publish('zip', 'x'.repeat(5000), { compress: true })
    const [incoming] = await message
    assert.equal(incoming.compression, true)
    assert.equal(incoming.data.payload.length, 5000)
  })

  it('is closed for a topic it may not read, and told why', async () => {
    const limited = await Gateway.limited()
    peers.push(limited)
    const { client } = await connected(limited.url)
    const closed = next(client, 'close')
    client.subscribeRemoteTopic('secure/vault')
    const [event] = await closed
    assert.equal(event.code, 1008)
    assert.equal(event.reason, 'Subscription to secure topic is forbidden!')
  })

  it('is reached by REST publishes, text and objects', async () => {
    const { client } = await connected()
    await subscribed(client, 'news')
    for (const message of ['text', { nested: [1, null] }]) {
      const heard = next(client, 'news.flash')
      await gateway.publish({ topic: 'news', message, messageType: 'flash' })
      assert.deepEqual((await heard)[0].data, message)
    }
    const heard = next(client, 'main.broadcast')
    await gateway.publish({ topic: 'main', message: 1, compress: true })
    assert.deepEqual([(await heard)[0].data, (await heard)[0].compression], [1, true])
  })
})

describe('npm client and the Rust client', OPEN, () => {
  it('hears what Rust publishes', async () => {
    const { client } = await connected()
    await subscribed(client, 'from/rust')
    for (const compress of [[], ['--compress']]) {
      const heard = next(client, 'from/rust.greeting')
      await gateway.run('pub', 'from/rust', '--json', '{"n":1.5}', '--type', 'greeting', '--id', 'r1', ...compress)
      const [incoming] = await heard
      assert.deepEqual(incoming.data.payload, { n: 1.5 })
      assert.equal(incoming.data.id, 'r1')
      assert.equal(incoming.compression, compress.length > 0)
    }
  })

  it('is heard by Rust', async () => {
    const { client, info } = await connected()
    const sub = await peer('subscribed', 'sub', 'from/npm')
    client.publish('from/npm', ['ü', 2], { messageType: 't', id: 'n1' })
    client.publish('from/npm', 3, { compress: true })
    const first = await sub.json()
    assert.deepEqual([first.payload, first.messageType, first.id], [['ü', 2], 't', 'n1'])
    assert.deepEqual([first.client.connectionId, first.compression], [info.id, false])
    const second = await sub.json()
    assert.deepEqual([second.payload, second.messageType, second.compression], [3, 'broadcast', true])
  })

  it('asks Rust', async () => {
    const { client } = await connected()
    await peer('serving', 'serve', 'shout', '--', 'tr', 'a-z', 'A-Z')
    const [reply] = await client.publish('shout', 'hello', { id: 'q1' }).waitForReply()
    assert.deepEqual(reply, { id: 'q1', status: 'ok', data: 'HELLO' })
  })

  it('answers Rust', async () => {
    const { client } = await connected()
    await subscribed(client, 'length')
    client.on('length.*', (message, reply) => reply(message.data.payload.length, 'counted', { compress: true }))
    const asked = gateway.run('request', 'length', 'four', '--full', '--id', 'q2')
    // The status is not `ok`, which the exit code says too.
    await assert.rejects(asked, /exit code 6/)
    client.removeAllListeners('length.*')
    client.on('length.*', (message, reply) => reply(message.data.payload.length))
    assert.equal(await gateway.run('request', 'length', 'four'), '4')
  })

  it('sends to Rust and is answered', async () => {
    const { client } = await connected()
    await peer('serving', 'serve', 'secure/inbound', '--type', 'order', '--json', '--', 'cat')
    const [reply] = await client.send({ item: 8 }, { messageType: 'order' }).waitForReply()
    assert.deepEqual([reply.status, reply.data], ['ok', { item: 8 }])
  })

  it('answers what Rust sends', async () => {
    const { client } = await connected()
    await subscribed(client, 'secure/inbound')
    client.on('secure/inbound.ask', (message, reply) => reply({ you: message.data.client.subject }))
    assert.equal(await gateway.run('request', '--send', 'x', '--type', 'ask'), '{"you":"developer"}')
  })

  it('sees Rust come and go, and is seen', async () => {
    const { client: watcher } = await connected()
    await subscribed(watcher, 'secure/inbound')
    const seen = []
    const gone = new Promise((resolve) => {
      watcher.on('secure/inbound.presence', (message) => {
        seen.push(message.data.payload.status)
        if (seen.length === 2) resolve()
      })
    })
    await gateway.run('pub', 'x', 'y')
    await gone
    assert.deepEqual(seen, ['connected', 'disconnected'])
    const sub = await peer('subscribed', 'sub', 'secure/inbound')
    const { client, info } = await connected()
    const came = await sub.json()
    assert.deepEqual([came.messageType, came.payload.status, came.client.connectionId], ['presence', 'connected', info.id])
    client.disconnect()
    assert.equal((await sub.json()).payload.status, 'disconnected')
  })
})
