// What messages carry: JSON of any kind, in order, to listeners and to loops.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { IncomingMessage } from 'realtime-pubsub'
import { collect, rest, world } from './support.mjs'

test('every JSON value comes through as it was', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  const values = [
    null,
    true,
    0,
    -1.5e300,
    '',
    'plain',
    'quotes " and \\ and \n and \u0000',
    'ünï 漢字 🦀 \u2028',
    'lone \ud800 surrogate',
    [],
    [1, [2, [3]]],
    {},
    { a: { b: null }, 'c d': ['é'] },
    'x'.repeat(100_000),
    `${'ü'.repeat(5000)}"`,
    { long: 'ü'.repeat(200_000) },
  ]
  const got = collect(alice, 'main.value', message => message.data.payload)
  for (const value of values) alice.publish('main', value, { messageType: 'value' })
  // Compared as text: what differs may be long.
  assert.ok(JSON.stringify(await got.until(values.length)) === JSON.stringify(values))
  alice.publish('main', undefined, { messageType: 'value' })
  assert.equal((await got.until(values.length + 1)).at(-1), null)
})

test('objects are read when they are published', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  const got = collect(alice, 'main.value', message => message.data.payload)
  const payload = { n: 1 }
  alice.publish('main', payload, { messageType: 'value' })
  payload.n = 2
  assert.deepEqual(await got.until(1), [{ n: 1 }])
})

test('what is no JSON is refused with a hint', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  const loop = {}
  loop.loop = loop
  const refused = (payload, message) =>
    assert.throws(() => alice.publish('a', payload), { code: 'INVALID_ARGUMENT', number: -1, message })
  refused(Buffer.from('x'), /base64/)
  refused(new Uint8Array(2), /base64/)
  refused(new ArrayBuffer(2), /base64/)
  refused({ deep: [{ buffer: Buffer.from('x') }] }, /base64/)
  refused(() => {}, /function/)
  refused(Symbol('x'), /symbol/)
  refused(loop, /circular/)
  refused(5n, /bigint: true/)
  refused({ toJSON: () => assert.fail('mine') }, /mine/)
  // Looks like one, and is none.
  await alice.publish('a', { type: 'Buffer', data: [1] }).waitForAck()
})

test('bigint: integers beyond 2^53 are exact, both ways; others stay numbers', async t => {
  const { client, gateway } = await world(t)
  const alice = await client('alice', { bigint: true })
  const bob = await client('bob')
  const got = collect(alice, 'main.value', message => message.payload)
  const values = [
    9007199254740993n,
    { big: -123456789012345678901234567890n, small: 5, text: '9007199254740993', float: 1.5 },
    [9007199254740991, '"12345678901234567890"', 'bigint 5'],
  ]
  for (const value of values) alice.publish('main', value, { messageType: 'value' })
  assert.deepEqual(await got.until(3), values)
  await alice.serve('main', 'ask', () => 2n ** 64n)
  assert.equal((await alice.request('main', 1, { messageType: 'ask' })).data, 2n ** 64n)
  // Without the option they are doubles, as JSON.parse has them.
  assert.equal((await bob.request('main', 1, { messageType: 'ask' })).data, 2 ** 64)
  await rest(gateway, 'POST', '/api/topics/local/publish', { topic: 'main', messageType: 'value', message: 1 })
  assert.equal((await got.until(4))[3], 1)
})

test('a message shows what it holds, and its id whatever it is', async t => {
  const { client, gateway } = await world(t)
  const alice = await client('alice')
  const got = collect(alice, 'main.*')
  alice.publish('main', { a: 1 }, { messageType: 'x' })
  alice.publish('main', 2, { messageType: 'x', id: 'my "id"' })
  alice.publish('main', 3, { id: '0'.repeat(32) })
  const [first, second, third] = await got.until(3)
  assert.ok(first instanceof IncomingMessage)
  assert.match(first.data.id, /^[0-9a-f]{32}$/)
  assert.equal(second.data.id, 'my "id"')
  assert.equal(third.data.id, '0'.repeat(32))
  assert.equal(third.messageType, 'broadcast')
  assert.deepEqual(JSON.parse(JSON.stringify(first)), {
    topic: 'main',
    messageType: 'x',
    data: {
      client: { connectionId: alice.connection.id, subject: 'alice', permissions: [...first.data.client.permissions] },
      payload: { a: 1 },
      id: first.data.id,
    },
    compression: false,
  })
  assert.match(inspect(first), /payload: \{ a: 1 \}/)
  assert.deepEqual([first.payload, first.data.client.subject], [{ a: 1 }, 'alice'])
  assert.equal(first.data.client, second.data.client, 'messages of one sender share it')
  assert.ok(Object.isFrozen(first.data.client) && Object.isFrozen(first.data.client.permissions))
  // Numbers are ids too, and data can be anything.
  const odd = collect(alice, 'odd.*', message => message.data)
  const frame = data => gateway.faults.sendText('all', JSON.stringify({ topic: 'odd', messageType: 'x', data }))
  frame({ client: { connectionId: 'c' }, payload: 1, id: 7 })
  for (const data of [null, 'text', 5, [1], { no: 'payload' }]) frame(data)
  const [numbered, ...others] = await odd.until(6)
  assert.deepEqual([numbered.id, numbered.payload, numbered.client], ['7', 1, { connectionId: 'c' }])
  assert.deepEqual(others, [null, 'text', 5, [1], { no: 'payload' }])
})

test('for await over messages: in order, and leaving the loop ends the listening', async t => {
  const { client } = await world(t)
  const [alice, bob] = [await client('alice'), await client('bob')]
  await alice.subscribeRemoteTopic('chat')
  const messages = alice.messages('chat.*')
  for (let n = 0; n < 1000; n += 1) bob.publish('chat', n)
  const got = []
  for await (const message of messages) {
    got.push(message.data.payload)
    if (got.length === 500) message.reply('half')
    if (got.length === 1000) break
  }
  assert.deepEqual(
    got,
    Array.from({ length: 1000 }, (_, n) => n),
  )
  assert.deepEqual(await messages.next(), { value: undefined, done: true })
  const before = alice.stats().unmatched
  await bob.publish('chat', 'nobody').waitForAck()
  await alice.flush()
  assert.ok(alice.stats().unmatched > before)
})

test('a loop waits for messages that come later, and ends when the client is disconnected', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  const got = []
  const loop = (async () => {
    for await (const message of alice.messages('main.x')) {
      got.push(message.data.payload)
      // Awaiting in the loop is what it is for.
      await message.reply('seen').waitForAck()
      if (got.length === 3) void alice.disconnect()
    }
  })()
  for (let n = 0; n < 3; n += 1) {
    const [reply] = await alice.publish('main', n, { messageType: 'x' }).waitForReply()
    assert.equal(reply.data, 'seen')
  }
  await loop
  assert.deepEqual(got, [0, 1, 2])
})

test('several next() at once are answered in order, and an abort ends them', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  const controller = new AbortController()
  const messages = alice.messages('main.x', { signal: controller.signal })
  const nexts = [messages.next(), messages.next(), messages.next()]
  for (let n = 0; n < 2; n += 1) alice.publish('main', n, { messageType: 'x' })
  assert.equal((await nexts[0]).value.data.payload, 0)
  assert.equal((await nexts[1]).value.data.payload, 1)
  controller.abort()
  await assert.rejects(nexts[2], { code: 'CANCELLED' })
  assert.equal((await messages.next()).done, true)
})

test('a slow listener does not starve timers: a turn is bounded', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  const busy = ms => {
    const until = performance.now() + ms
    while (performance.now() < until);
  }
  let heard = 0
  const all = new Promise(resolve => {
    alice.on('main.x', () => {
      busy(0.2)
      heard += 1
      if (heard === 1000) resolve()
    })
  })
  let ticks = 0
  const ticking = setInterval(() => (ticks += 1), 1)
  for (let n = 0; n < 1000; n += 1) alice.publish('main', n, { messageType: 'x' })
  await all
  clearInterval(ticking)
  assert.ok(ticks >= 8, `${ticks} ticks in 200 ms of listeners`)
})

test('listeners of many patterns, control events in their place, next() within a listener', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  await alice.subscribeRemoteTopic('a.b')
  const calls = []
  for (const pattern of ['a.b.c', 'a.*.c', '**', '*.b.*', 'a.**', 'x.**', '*']) {
    alice.on(pattern, () => calls.push(pattern))
  }
  const messages = alice.messages('**')
  let nested
  alice.once('a.b.c', () => {
    nested = messages.next()
  })
  await alice.publish('a.b', 1, { messageType: 'c' }).waitForAck()
  await alice.flush()
  assert.deepEqual(calls, ['a.b.c', 'a.*.c', '**', '*.b.*', 'a.**'])
  assert.equal((await nested).value.data.payload, 1)
})

test('a listener that returns a promise is waited for: messages stay in the inbox, waits are settled all the same', async t => {
  const { client } = await world(t)
  const alice = await client('alice', { inboxMessages: 4, overflow: 'drop-newest' })
  const heard = []
  let go
  const held = new Promise(resolve => (go = resolve))
  alice.on('main.x', async message => {
    heard.push(`first ${message.payload}`)
    if (message.payload === 0) await held
    heard.push(`first ${message.payload} is done`)
  })
  alice.on('main.x', message => void heard.push(`second ${message.payload}`))
  const lagged = alice.waitFor('lagged')
  for (let number = 0; number < 20; number += 1) alice.publish('main', number, { messageType: 'x' })
  await alice.publish('main', 'last', { messageType: 'y' }).waitForAck()
  assert.deepEqual(heard, ['first 0'])
  go()
  const [{ dropped }] = await lagged
  assert.ok(dropped > 0, `${dropped} dropped`)
  assert.deepEqual(heard.slice(0, 4), ['first 0', 'first 0 is done', 'second 0', 'first 1'])
})
