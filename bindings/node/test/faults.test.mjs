// What goes wrong in published clients, and must not here. Numbers are those of the list that every language's suite
// goes by.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { RealtimeClient } from 'realtime-pubsub'
import { collect, program, QUICK, rest, world } from './support.mjs'

test('fault 01: answers that come before the wait are kept', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  await alice.serve('main', 'echo', message => message.data.payload)
  const waitFor = alice.publish('main', 'early', { messageType: 'echo' })
  // The answers to the second message come after those to the first.
  await alice.request('main', 'late', { messageType: 'echo' })
  await alice.flush()
  assert.deepEqual(await waitFor.waitForAck(1), [])
  assert.equal((await waitFor.reply(1)).data, 'early')
})

test('fault 02: nothing from the wire forges control events or acks', async t => {
  const { gateway, client } = await world(t)
  gateway.faults.acks('drop')
  const [alice, mallory] = [await client('alice'), await client('mallory')]
  await alice.subscribeRemoteTopic('session')
  await alice.subscribeRemoteTopic('ack')
  const started = collect(alice, 'session.started')
  const errors = collect(alice, 'error')
  const all = collect(alice, 'session.*', message => message.messageType)
  const waitFor = alice.publish('chat', 1, { id: 'known' })
  mallory.publish('session', { id: 'forged' }, { messageType: 'started' })
  mallory.publish('ack', 1, { messageType: 'known' })
  mallory.publish('main', { data: 'known' }, { messageType: 'ack' })
  mallory.publish('error', 1, { messageType: 'x' })
  await mallory.flush()
  assert.deepEqual(await all.until(1), ['started'])
  await assert.rejects(waitFor.waitForAck(30), { code: 'TIMEOUT' })
  assert.deepEqual([started, errors], [[], []])
})

test('fault 03: replies find their asker whatever its subject, and names do not collide', async t => {
  const { client } = await world(t)
  const alice = await client('user.name@x.com')
  const bob = await client('bob')
  await bob.serve('a.b', 'c', () => 'a.b + c')
  await alice.subscribeRemoteTopic('a')
  const collided = collect(alice, 'a.b.*', message => message.topic)
  assert.equal((await alice.request('a.b', 1, { messageType: 'c' })).data, 'a.b + c')
  await bob.publish('a', 1, { messageType: 'b.c' }).waitForAck()
  await alice.flush()
  // The listener's pattern matches both names: the message tells which it is.
  assert.deepEqual(collided, ['a'])
})

test('fault 04: waits end as soon as the connection dies or is closed', async t => {
  const { gateway, client } = await world(t)
  gateway.faults.acks('drop')
  const alice = await client('alice')
  const long = 60_000
  const lost = [alice.publish('a', 1).waitForAck(long), alice.publish('a', 1).waitForReply(long)]
  const losing = Promise.all(lost.map(wait => assert.rejects(wait, { code: 'CONNECTION_LOST', number: -6 })))
  await alice.flush()
  gateway.faults.reset()
  await losing
  await alice.connect()
  const closing = assert.rejects(alice.publish('a', 1).waitForReply(long), { code: 'CLOSED' })
  await alice.disconnect()
  await closing
})

test('fault 05: accept-then-close backs off', async t => {
  const { gateway, idle } = await world(t)
  gateway.faults.onConnect({ kind: 'close-after-welcome', code: 1008 })
  let asked = 0
  const alice = idle('alice', {
    url: undefined,
    urlProvider: () => {
      asked += 1
      return gateway.urlWithToken('alice')
    },
    minReconnectDelay: 50,
    maxReconnectDelay: 400,
  })
  const closes = collect(alice, 'close', event => event.code)
  alice.start()
  await alice.wait(600)
  assert.ok(asked >= 2 && asked < 30, `${asked} attempts in 0.6 s`)
  assert.ok(closes.every(code => code === 1008))
})

test('faults 06 and 34: messages up to 1 MiB; larger ones are one error, in both directions', async t => {
  const { gateway, client } = await world(t, { messageBytes: 8 << 20 })
  const alice = await client('alice')
  const bob = await client('bob', { maxMessageSize: 8 << 20 })
  const lengths = collect(alice, 'main.*', message => message.data.payload.length)
  await bob.publish('main', 'x'.repeat(7000)).waitForAck()
  await bob.publish('main', 'x'.repeat((1 << 20) - 500)).waitForAck()
  assert.deepEqual(await lengths.until(2), [7000, (1 << 20) - 500])
  assert.throws(() => alice.publish('main', 'x'.repeat(1 << 20)), { code: 'MESSAGE_TOO_LARGE', number: -8 })
  const closed = alice.waitFor('close')
  const errors = collect(alice, 'error', error => error.code)
  await bob.publish('main', 'x'.repeat(3 << 20)).waitForAck()
  assert.equal((await closed)[0].code, 1009)
  assert.deepEqual(await errors.until(1), ['MESSAGE_TOO_LARGE'])
  await alice.waitFor('session.started')
  assert.equal(gateway.connections().length, 2)
})

test('fault 07: publishers and subscribers go on over many reconnects, on one connection at a time', async t => {
  const { gateway, client } = await world(t)
  const alice = await client('alice')
  const unexpected = []
  let settled = 0
  let going = true
  const publishers = Array.from({ length: 10 }, async (_, n) => {
    while (going) {
      try {
        alice.subscribeRemoteTopic(`topic ${n}`).catch(() => {})
        await alice.publish('a', n).waitForAck()
      } catch (error) {
        if (!['NOT_CONNECTED', 'CONNECTION_LOST'].includes(error.code)) unexpected.push(error)
        await new Promise(resolve => setImmediate(resolve))
      }
      settled += 1
    }
  })
  for (let round = 0; round < 20; round += 1) {
    await alice.connect()
    const before = settled
    while (settled < before + 20) await new Promise(resolve => setImmediate(resolve))
    assert.equal(gateway.connections().length, 1)
    const lost = alice.waitFor('close')
    if (round % 2 === 0) gateway.faults.reset()
    else gateway.faults.close('all', 1012, 'restart')
    await lost
  }
  going = false
  await Promise.all(publishers)
  assert.deepEqual(unexpected, [])
  assert.equal(alice.stats().waits, 0)
})

test('fault 08: publishing from a listener while the connection drops is an error, not a crash', async t => {
  const { gateway, client } = await world(t)
  const alice = await client('alice')
  const outcome = new Promise(resolve => {
    alice.once('close', () => {
      try {
        resolve(alice.publish('a', 1))
      } catch (error) {
        resolve(error.code)
      }
    })
  })
  // However late the listener is called, there is no other session.
  gateway.faults.onConnect('half-open')
  gateway.faults.reset()
  assert.equal(await outcome, 'NOT_CONNECTED')
})

test('fault 09: disconnecting while others publish ends them with CLOSED or NOT_CONNECTED', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  const codes = new Set()
  const publishers = Array.from({ length: 20 }, async () => {
    for (;;) {
      try {
        await alice.publish('a', 1).waitForAck()
      } catch (error) {
        codes.add(error.code)
        return
      }
    }
  })
  await alice.wait(20)
  await alice.disconnect()
  await Promise.all(publishers)
  assert.ok(
    [...codes].every(code => code === 'CLOSED'),
    [...codes].join(),
  )
})

test('fault 10: what was published before disconnect arrives, and the close is clean', async t => {
  const { client } = await world(t)
  const [alice, bob] = [await client('alice'), await client('bob')]
  await bob.subscribeRemoteTopic('chat')
  const got = collect(bob, 'chat.*', message => message.data.payload)
  const closed = alice.waitFor('close')
  for (let n = 0; n < 200; n += 1) alice.publish('chat', n)
  await alice.disconnect()
  assert.equal((await closed)[0].code, 1000)
  assert.deepEqual(
    await got.until(200),
    Array.from({ length: 200 }, (_, n) => n),
  )
})

test('fault 11: with retry, no publish is lost over reconnects', async t => {
  const { gateway, client } = await world(t)
  const bob = await client('bob')
  const alice = await client('alice', { retry: true, offline: 'queue' })
  await bob.subscribeRemoteTopic('chat')
  const seen = new Set()
  bob.on('chat.*', message => seen.add(message.data.payload))
  const acks = []
  for (let n = 0; n < 400; n += 1) {
    acks.push(alice.publish('chat', n).waitForAck(20_000))
    if (n % 40 === 39) {
      gateway.faults.reset({ subject: 'alice' })
      await alice.wait(5)
    }
  }
  await Promise.all(acks)
  await bob.flush()
  assert.equal(seen.size, 400)
})

test('fault 12: topics are subscribed again after a reconnect; asking again is harmless', async t => {
  const { gateway, client } = await world(t)
  const [alice, bob] = [await client('alice'), await client('bob')]
  alice.on('session.started', () => alice.subscribeRemoteTopic('chat'))
  await alice.subscribeRemoteTopic('chat')
  const got = collect(alice, 'chat.*', message => message.data.payload)
  const again = collect(alice, 'session.started')
  gateway.faults.reset({ subject: 'alice' })
  await again.until(1)
  await bob.publish('chat', 'after').waitForAck()
  assert.deepEqual(await got.until(1), ['after'])
})

test('fault 13: a listener may wait for an ack or a reply', async t => {
  const { client } = await world(t)
  const [alice, bob] = [await client('alice'), await client('bob')]
  await bob.serve('answers', 'x', () => 42)
  const answered = new Promise((resolve, reject) => {
    alice.on('main.go', async () => {
      try {
        await alice.publish('chat', 1).waitForAck()
        resolve((await alice.request('answers', 1, { messageType: 'x' })).data)
      } catch (error) {
        reject(error)
      }
    })
  })
  alice.publish('main', 1, { messageType: 'go' })
  assert.equal(await answered, 42)
})

test('fault 14: a silent server is an error after the time given', async t => {
  const { gateway, idle } = await world(t)
  gateway.faults.onConnect('no-welcome')
  const alice = idle('alice', { welcomeTimeout: 50 })
  await assert.rejects(alice.connect(200), { code: 'HANDSHAKE_FAILED', message: /welcome/ })
})

test('fault 15: a failing URL provider is reported with its own error, retried, and can be given up', async t => {
  const { gateway, idle } = await world(t)
  const own = new TypeError('no token today')
  let calls = 0
  const urlProvider = async () => {
    calls += 1
    if (calls < 3) throw own
    return gateway.urlWithToken('alice')
  }
  const alice = idle('alice', { url: undefined, urlProvider })
  const errors = collect(alice, 'error')
  await alice.connect()
  assert.equal(calls, 3)
  assert.deepEqual(
    errors.map(error => [error.code, error.cause]),
    [
      ['URL_PROVIDER_FAILED', own],
      ['URL_PROVIDER_FAILED', own],
    ],
  )
  const bob = idle('bob', { url: undefined, urlProvider: () => Promise.reject(own) })
  const connecting = assert.rejects(bob.connect(), { code: 'CLOSED' })
  await bob.waitFor('error')
  await bob.disconnect()
  await connecting
  const carol = idle('carol', { url: undefined, urlProvider: () => 5 })
  await assert.rejects(carol.connect(50), { code: 'URL_PROVIDER_FAILED', message: /a URL is a string/ })
  const dave = idle('dave', { url: undefined, urlProvider: () => new Promise(() => {}), providerTimeout: 20 })
  await assert.rejects(dave.connect(50), { code: 'URL_PROVIDER_FAILED' })
})

test('fault 16: connecting twice is one connection, and a closed client connects again', async t => {
  const { gateway, idle } = await world(t)
  const alice = idle('alice')
  const [first, second] = await Promise.all([alice.connect(), alice.connect()])
  assert.deepEqual(first, second)
  assert.equal(gateway.connections().length, 1)
  await Promise.all([alice.disconnect(), alice.disconnect()])
  assert.equal(alice.state, 'closed')
  const third = await alice.connect()
  assert.notEqual(third.id, first.id)
  assert.deepEqual(alice.connection, third)
})

test('fault 17: once is called exactly once, also when it publishes to itself or is async', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  let calls = 0
  alice.once('main.x', async () => {
    calls += 1
    await alice.publish('main', 1, { messageType: 'x' }).waitForAck()
  })
  for (let n = 0; n < 10; n += 1) alice.publish('main', n, { messageType: 'x' })
  await alice.flush()
  await alice.flush()
  assert.deepEqual([calls, alice.listenerCount('main.x')], [1, 0])
})

test('fault 18: listeners are called in the order of registration and arrival; one that fails stops no other', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  const calls = []
  const errors = collect(alice, 'error')
  alice.on('main.x', message => calls.push(`a${message.data.payload}`))
  alice.on('main.*', () => {
    throw new RangeError('mine')
  })
  alice.on('**', async () => {
    throw new RangeError('later')
  })
  alice.on('main.x', message => calls.push(`b${message.data.payload}`))
  for (let n = 0; n < 3; n += 1) alice.publish('main', n, { messageType: 'x' })
  await errors.until(6)
  assert.deepEqual(calls, ['a0', 'b0', 'a1', 'b1', 'a2', 'b2'])
  assert.ok(errors.every(error => error.code === 'INTERNAL' && error.cause instanceof RangeError))
  assert.match(errors[0].message, /a listener of "main\.\*" failed: mine/)
})

test('fault 19: an error nobody listens to is logged and kills nothing', async t => {
  const { client } = await world(t)
  const logged = []
  const log = message => logged.push(message)
  const logger = { error: log, info: log, debug: log, warn: log }
  const alice = await client('alice', { logger, logLevel: 'warn' })
  alice.on('main.x', () => {
    throw new Error('mine')
  })
  await alice.publish('main', 1, { messageType: 'x' }).waitForAck()
  await alice.flush()
  assert.deepEqual(logged, ['a listener of "main.x" failed: mine'])
  alice.on('error', () => {
    throw new Error('also mine')
  })
  await alice.publish('main', 1, { messageType: 'x' }).waitForAck()
  await alice.flush()
  assert.match(logged[1], /a listener of "error" failed: also mine/)
})

test('fault 20: the close event has code and reason', async t => {
  const { gateway, client } = await world(t)
  const alice = await client('alice')
  const closed = alice.waitFor('close')
  gateway.kick({ subject: 'alice' }, 4321, 'because')
  assert.deepEqual(await closed, [{ code: 4321, reason: 'because', willReconnect: true }])
})

test('fault 21: large integers are exact', async t => {
  const { client, gateway } = await world(t)
  const alice = await client('alice', { bigint: true })
  const got = collect(alice, 'main.*', message => message.payload)
  const frame =
    '{"topic":"main","messageType":"x","data":{"client":{"connectionId":"c"},"payload":[9007199254740993],"id":1}}'
  gateway.faults.sendText('all', frame)
  assert.deepEqual(await got.until(1), [[9007199254740993n]])
})

test('fault 22: the compression flag is right, text and binary are one ordered stream', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  const got = collect(alice, 'main.*', message => [message.data.payload, message.compression])
  const sent = Array.from({ length: 60 }, (_, n) => [n, n % 3 === 0])
  for (const [n, compress] of sent) alice.publish('main', n, { compress })
  assert.deepEqual(await got.until(60), sent)
})

test('fault 23: the token is in no log, no error and no print', async t => {
  const { gateway } = await world(t)
  const logged = []
  const log = (...args) => logged.push(args.map(String).join(' '))
  const logger = { error: log, info: log, debug: log, warn: log }
  const token = gateway.token('alice')
  const urls = [`${gateway.url}?access_token=${token}`, `ws://127.0.0.1:1/?${token}`, `ws://${token}@127.0.0.1:1/a`]
  for (const url of urls) {
    const client = new RealtimeClient({ url, logger, logLevel: 'trace', ...QUICK })
    client.on('error', error => log(error.stack, error.message))
    await client.connect(60).catch(error => log(error.stack))
    log(client, JSON.stringify(client))
    await client.disconnect()
  }
  assert.throws(
    () => new RealtimeClient({ url: `http://x/?access_token=${token}` }),
    error => !String(error.stack).includes(token),
  )
  assert.ok(logged.length > 10)
  assert.ok(!logged.join().includes(token))
})

test('fault 24: a dead port fails the connect with the cause; then publishes fail at once', async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  const client = new RealtimeClient({ url: `ws://127.0.0.1:${port}/apps/x`, ...QUICK, maxRetries: 2 })
  assert.throws(() => client.publish('a', 1), { code: 'NOT_CONNECTED', number: -3 })
  await assert.rejects(client.connect(), { code: 'HANDSHAKE_FAILED', message: /refused/ })
  assert.equal(client.state, 'failed')
  assert.throws(() => client.publish('a', 1), { code: 'NOT_CONNECTED' })
  // What was queued is told too, when the last attempt has failed.
  const queueing = new RealtimeClient({
    url: `ws://127.0.0.1:${port}/apps/x`,
    ...QUICK,
    maxRetries: 2,
    offline: 'queue',
  })
  const queued = queueing.publish('a', 1).waitForAck(60_000)
  await Promise.all([
    assert.rejects(queued, { code: 'CONNECTION_LOST', message: /given up.*refused/ }),
    assert.rejects(queueing.connect(), { code: 'HANDSHAKE_FAILED' }),
  ])
  assert.throws(() => queueing.publish('a', 1), { code: 'NOT_CONNECTED' })
})

test('fault 25: what was queued leaves after the topics are subscribed', async t => {
  const { idle } = await world(t)
  const alice = idle('alice', { offline: 'queue' })
  await alice.subscribeRemoteTopic('chat')
  const got = collect(alice, 'chat.*', message => message.data.payload)
  for (let n = 0; n < 10; n += 1) alice.publish('chat', n)
  await alice.connect()
  assert.deepEqual(
    await got.until(10),
    Array.from({ length: 10 }, (_, n) => n),
  )
})

test('fault 26: the options given are not changed, and an id is no pattern', async t => {
  const { gateway, client } = await world(t)
  const alice = await client('alice')
  const options = Object.freeze({ messageType: 'x' })
  const [first, second] = [alice.publish('a', 1, options), alice.publish('a', 2, options)]
  assert.notEqual(first.id, second.id)
  gateway.faults.acks('drop')
  const star = alice.publish('a', 1, { id: '*' })
  gateway.faults.sendText('all', '{"topic":"priv/acks","messageType":"ack","data":{"data":"other"}}')
  await assert.rejects(star.waitForAck(30), { code: 'TIMEOUT' })
})

test('fault 27: frames of odd shape crash nothing, and REST messages are not replyable', async t => {
  const { gateway, client } = await world(t)
  const alice = await client('alice')
  const outcomes = collect(alice, 'main.x', (message, reply) => {
    try {
      reply('no')
      return 'replied'
    } catch (error) {
      return [error.code, error.number, message.payload]
    }
  })
  for (const text of [
    '{"topic":"priv/acks","messageType":"ack"}',
    '{"topic":"priv/acks","messageType":"ack","data":null}',
    '{"topic":"priv/x","messageType":"response","data":{"payload":null}}',
    '{"topic":"main","messageType":"x","data":null}',
    '{"topic":5}',
    'no json',
    '{}',
  ]) {
    gateway.faults.sendText('all', text)
  }
  await rest(gateway, 'POST', '/api/topics/local/publish', { topic: 'main', messageType: 'x', message: 'a string' })
  assert.deepEqual(await outcomes.until(2), [
    ['NOT_REPLYABLE', -16, null],
    ['NOT_REPLYABLE', -16, 'a string'],
  ])
  await alice.publish('a', 1).waitForAck()
})

test('fault 28: a clean close by the server is an event and a reconnect', async t => {
  const { gateway, client } = await world(t)
  const alice = await client('alice')
  for (const code of [1000, 1001]) {
    const [closed, started] = [alice.waitFor('close'), collect(alice, 'session.started')]
    gateway.faults.close('all', code, 'bye')
    assert.equal((await closed)[0].code, code)
    await started.until(1)
  }
})

test('fault 29: disconnect stops a connect that is retrying, at once', async t => {
  const { idle } = await world(t)
  const alice = idle('alice', { url: 'ws://127.0.0.1:1/apps/x', minReconnectDelay: 5000, maxReconnectDelay: 5000 })
  const connecting = assert.rejects(alice.connect(), { code: 'CLOSED' })
  await alice.waitFor('error')
  const from = performance.now()
  await alice.disconnect()
  await connecting
  assert.ok(performance.now() - from < 1000)
})

test('fault 30: session.started is there however late it is waited for', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  await alice.flush()
  assert.deepEqual(await alice.waitFor('session.started', 1), [alice.connection])
})

test('fault 31: a client made before there is anything to run it works in whatever uses it', async t => {
  const { gateway } = await world(t)
  const source = `
    const { RealtimeClient } = require('realtime-pubsub')
    const client = new RealtimeClient({ url: process.argv[2] })
    client.on('main.x', (message, reply) => reply(message.payload))
    process.once('message', async () => {
      await client.connect()
      process.send((await client.request('main', 'hi', { messageType: 'x' })).data)
      await client.disconnect()
      process.disconnect()
    })
    process.send('ready')`
  const { code, messages } = await program(t, source, {
    args: [gateway.urlWithToken('alice')],
    name: 'program.cjs',
    onMessage: (message, child) => message === 'ready' && child.send('go'),
  })
  assert.deepEqual([code, messages], [0, ['ready', 'hi']])
})

test('fault 32: nothing that it depends on can break it: it depends on nothing', () => {
  const { dependencies = {}, peerDependencies = {} } = createRequire(import.meta.url)('realtime-pubsub/package.json')
  assert.deepEqual([dependencies, peerDependencies], [{}, {}])
})

test('fault 33: permissions are told, and presence of odd shape is tolerated', async t => {
  const { gateway, client } = await world(t)
  const alice = await client('alice')
  const permissions = ['realtime:publisher:write:topic:*']
  const bob = await client({ subject: 'bob', permissions })
  const got = collect(alice, 'main.x', message => message.data.client.permissions)
  bob.publish('main', 1, { messageType: 'x' })
  assert.deepEqual(await got.until(1), [permissions])
  const presences = collect(alice, 'secure/inbound.presence', message => message.dataAsPresence())
  for (const data of [
    'null',
    '5',
    '{"payload":"odd"}',
    '{"client":{"subject":"s"},"payload":{"status":"connected"}}',
  ]) {
    gateway.faults.sendText('all', `{"topic":"secure/inbound","messageType":"presence","data":${data}}`)
  }
  const [a, b, c, d] = await presences.until(4)
  assert.deepEqual([a, b, c], [undefined, undefined, undefined])
  assert.deepEqual(d, { status: 'connected', connectionId: '', subject: 's', permissions: [] })
})

test('fault 35: a peer that is dead is found, one that is slow to pong is not', async t => {
  const { gateway, client } = await world(t)
  const alice = await client('alice', { pingAfter: 400, pongTimeout: 600 })
  const closes = collect(alice, 'close', event => event.code)
  gateway.faults.swallowPings(true)
  // Any frame is a sign of life.
  const until = performance.now() + 1500
  while (performance.now() < until) {
    await alice.publish('a', 1).waitForAck()
    await alice.wait(10)
  }
  assert.deepEqual(closes, [])
  gateway.faults.stall()
  assert.equal((await closes.until(1)).length, 1)
  gateway.faults.clear()
})

test('fault 36: waits that timed out leave no timer, no listener, no slot', async t => {
  const { gateway, client } = await world(t)
  gateway.faults.acks('drop')
  const alice = await client('alice')
  const { signal } = new AbortController()
  let listening = 0
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = (...args) => {
    listening += 1
    return addEventListener.apply(signal, args)
  }
  signal.removeEventListener = (...args) => {
    listening -= 1
    return removeEventListener.apply(signal, args)
  }
  const before = process.getActiveResourcesInfo().length
  const waits = Array.from({ length: 30 }, (_, n) => [
    alice.publish('a', n).waitForAck({ timeout: 2000, signal }),
    alice.publish('a', n).waitForReply({ timeout: 2000, signal }),
    alice.waitFor('no.thing', { timeout: 2000, signal }),
  ]).flat()
  assert.deepEqual([alice.stats().waits, listening], [90, 90])
  const outcomes = await Promise.allSettled(waits)
  assert.ok(outcomes.every(({ reason }) => reason?.code === 'TIMEOUT'))
  assert.deepEqual([alice.stats().waits, listening], [0, 0])
  // The test runner has its own, which come and go.
  const left = () => process.getActiveResourcesInfo()
  const giveUp = performance.now() + 5000
  while (left().length > before && performance.now() < giveUp) await new Promise(resolve => setImmediate(resolve))
  assert.ok(left().length <= before, left().join())
})

test('a forbidden topic is reported by name, and the others live on', async t => {
  const { client } = await world(t)
  const alice = await client({ subject: 'alice', permissions: ['realtime:publisher:write:topic:*'] })
  const errors = collect(alice, 'error', error => [error.code, error.topic])
  await alice.subscribeRemoteTopic('open')
  await assert.rejects(alice.subscribeRemoteTopic('secure/x'), { code: 'FORBIDDEN', number: -9, topic: 'secure/x' })
  assert.deepEqual(await errors.until(1), [['FORBIDDEN', 'secure/x']])
  await alice.waitFor('session.started')
  const got = collect(alice, 'open.*', message => message.data.payload)
  alice.publish('open', 1)
  assert.deepEqual(await got.until(1), [1])
  // Nobody awaits this one: it is told once, by the client, and is no unhandled rejection.
  alice.subscribeRemoteTopic('secure/y')
  assert.deepEqual((await errors.until(2))[1], ['FORBIDDEN', 'secure/y'])
})
