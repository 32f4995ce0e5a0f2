// Programs written for the published client, as its documentation has them: only the import is another.
import assert from 'node:assert/strict'
import { on, once } from 'node:events'
import { test } from 'node:test'
import { RealtimeClient } from 'realtime-pubsub'
import { collect, world } from './support.mjs'

test('the documented program runs: connect, session.started, subscribe, publish, ack', async t => {
  const { gateway } = await world(t)
  const logged = []
  const logger = {
    debug: message => logged.push(message),
    info: message => logged.push(message),
    error: message => logged.push(message),
    log: message => logged.push(message),
  }
  const client = new RealtimeClient({
    websocketOptions: {
      maxRetries: 10,
      urlProvider: async () => gateway.urlWithToken('alice'),
    },
    logger,
  })
  const sessions = []
  client.on('session.started', info => {
    sessions.push(info)
    client.subscribeRemoteTopic('topic1')
    client.subscribeRemoteTopic('topic2')
  })
  await client.connect()
  const [info] = await client.waitFor('session.started')
  assert.equal(typeof info.id, 'string')
  assert.deepEqual(sessions, [info])
  assert.equal(info.appId, 'local')
  assert.match(info.remoteAddress, /^127\.0\.0\.1:\d+$/)

  const received = client.waitFor('topic1.text-message')
  await client.publish('topic1', 'Hello, world!', { messageType: 'text-message' }).waitForAck()
  const [message, reply] = await received
  assert.equal(message.data.payload, 'Hello, world!')
  assert.equal(typeof reply, 'function')
  const closed = client.waitFor('close')
  client.disconnect()
  const [event] = await closed
  assert.equal(event.code, 1000)
  assert.equal(typeof event.reason, 'string')
})

test('a message handler replies, and the asker gets [response]', async t => {
  const { client } = await world(t)
  const [alice, bob] = [await client('alice'), await client('bob')]
  await bob.subscribeRemoteTopic('chat')
  bob.on('chat.text-message', (message, reply) => {
    assert.equal(message.topic, 'chat')
    assert.equal(message.messageType, 'text-message')
    assert.equal(message.data.client.subject, 'alice')
    reply(`${message.data.payload}?`, 'ok', { compress: true })
  })
  const waitFor = alice.publish('chat', 'Hi', { messageType: 'text-message', compress: true, id: 'my-id' })
  await waitFor.waitForAck()
  const [response] = await waitFor.waitForReply(5000)
  assert.deepEqual(response, { id: 'my-id', status: 'ok', data: 'Hi?' })
})

test('a backend answers what clients send', async t => {
  const { client } = await world(t)
  const [alice, backend] = [await client('alice'), await client('backend')]
  await backend.subscribeRemoteTopic('secure/inbound')
  backend.on('secure/inbound.create', (message, reply) => {
    reply({ created: message.data.payload.name }, 'done')
  })
  const [response] = await alice.send({ name: 'x' }, { messageType: 'create' }).waitForReply(5000)
  assert.deepEqual([response.status, response.data], ['done', { created: 'x' }])
})

test('presence is told on secure/inbound', async t => {
  const { client, gateway } = await world(t)
  const backend = await client('backend')
  await backend.subscribeRemoteTopic('secure/inbound')
  const presences = collect(backend, 'secure/inbound.presence', message => message.dataAsPresence())
  const alice = await client({ subject: 'alice' })
  const { id } = alice.connection
  await alice.disconnect()
  const [came, went] = await presences.until(2)
  assert.equal(gateway.connections().length, 1)
  assert.equal(came.status, 'connected')
  assert.deepEqual([came.connectionId, came.subject, Array.isArray(came.permissions)], [id, 'alice', true])
  assert.deepEqual([went.status, went.connectionId], ['disconnected', id])
})

test('calls can be chained, and all of them take effect', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  const got = collect(alice, '*.*', message => message.topic)
  const waitFor = alice.subscribeRemoteTopic('a').subscribeRemoteTopic('b').unsubscribeRemoteTopic('a').publish('b', 1)
  await waitFor.waitForAck()
  await alice.flush()
  assert.deepEqual(await got.until(1), ['b'])
  assert.deepEqual(alice.subscriptions(), ['b'])
  alice
    .on('x.y', () => {})
    .once('x.y', () => {})
    .off('x.y', () => {})
    .disconnect()
})

test('listeners are as those of an EventEmitter: once, off, removeListener, listenerCount', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  const calls = []
  const first = () => calls.push('first')
  const second = () => calls.push('second')
  alice
    .on('main.x', first)
    .addListener('main.x', second)
    .once('main.x', () => calls.push('once'))
  assert.equal(alice.listenerCount('main.x'), 3)
  assert.deepEqual(alice.eventNames(), ['main.x'])
  assert.deepEqual(alice.listeners('main.x').slice(0, 2), [first, second])
  await alice.publish('main', 1, { messageType: 'x' }).waitForAck()
  await alice.flush()
  alice.off('main.x', first)
  await alice.publish('main', 2, { messageType: 'x' }).waitForAck()
  await alice.flush()
  alice.removeListener('main.x', second).off('main.x', second)
  assert.equal(alice.listenerCount('main.x'), 0)
  await alice.publish('main', 3, { messageType: 'x' }).waitForAck()
  await alice.flush()
  assert.deepEqual(calls, ['first', 'second', 'once', 'second'])
  alice.on('a.b', first).on('c.d', first).removeAllListeners('a.b')
  assert.deepEqual(alice.eventNames(), ['c.d'])
  assert.deepEqual(alice.removeAllListeners().eventNames(), [])
})

test('the functions of node:events take a client for an emitter', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  const heard = once(alice, 'main.x')
  alice.publish('main', 1, { messageType: 'x' })
  const [message, reply] = await heard
  assert.deepEqual([message.payload, typeof reply, alice.listenerCount('main.x')], [1, 'function', 0])
  const aborting = new AbortController()
  const all = on(alice, 'main.y', { signal: aborting.signal })
  for (let n = 0; n < 3; n += 1) alice.publish('main', n, { messageType: 'y' })
  const got = []
  for await (const [message] of all) {
    got.push(message.payload)
    if (got.length === 3) break
  }
  assert.deepEqual([got, alice.listenerCount('main.y')], [[0, 1, 2], 0])
  const closed = once(alice, 'close')
  alice.disconnect()
  assert.equal((await closed)[0].code, 1000)
})

test('wait(ms) resolves later, and can be aborted', async t => {
  const { idle } = await world(t)
  const client = idle()
  const from = performance.now()
  await client.wait(20)
  assert.ok(performance.now() - from >= 18)
  await assert.rejects(client.wait(60_000, { signal: AbortSignal.timeout(5) }), { code: 'CANCELLED', number: -13 })
})

test('options of the published client mean what they meant', async t => {
  const { gateway } = await world(t)
  gateway.faults.onConnect({ kind: 'refuse', code: 503 })
  let asked = 0
  const client = new RealtimeClient({
    websocketOptions: {
      urlProvider: async () => {
        asked += 1
        return gateway.urlWithToken('alice')
      },
      maxRetries: 2,
      minReconnectionDelay: 1,
      maxReconnectionDelay: 2,
      minUptime: 10,
      connectionTimeout: 1000,
    },
  })
  await assert.rejects(client.connect(), { code: 'HANDSHAKE_FAILED' })
  assert.equal(client.state, 'failed')
  assert.equal(asked, 3)
  assert.throws(
    () => new RealtimeClient({ websocketOptions: { urlProvider: async () => '', messageDeserializer: JSON.parse } }),
    { code: 'INVALID_ARGUMENT', message: /messageDeserializer/ },
  )
})
