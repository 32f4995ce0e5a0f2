// Acks, replies, requests: what they wait for and what ends them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CancelledError, LocalGateway, RealtimeClient, RealtimeError, TimeoutError } from 'realtime-pubsub'
import { collect, world } from './support.mjs'

test('a timed-out ack is a TimeoutError with code and number that says what may be wrong', async t => {
  const { gateway, client } = await world(t, { acks: false })
  const alice = await client('alice')
  const error = await alice
    .publish('a', 1)
    .waitForAck(20)
    .catch(error => error)
  assert.ok(error instanceof TimeoutError && error instanceof RealtimeError && error instanceof Error)
  assert.deepEqual([error.code, error.number, error.name], ['TIMEOUT', -4, 'TimeoutError'])
  assert.match(error.message, /acks switched off/)
  await assert.rejects(alice.publish('a', 1).waitForReply(20), { code: 'TIMEOUT' })
  await assert.rejects(alice.waitFor('no.thing', { timeout: 20 }), { code: 'TIMEOUT' })
  assert.equal(alice.stats().waits, 0)
  assert.equal(gateway.connections().length, 1)
})

test('AbortSignal ends every wait with a CancelledError whose cause is the reason', async t => {
  const { gateway, client } = await world(t)
  gateway.faults.acks('drop')
  const alice = await client('alice')
  gateway.faults.swallowPings(true)
  const reason = new Error('enough')
  const waits = {
    waitForAck: signal => alice.publish('a', 1).waitForAck({ signal }),
    waitForReply: signal => alice.publish('a', 1).waitForReply({ signal }),
    request: signal => alice.request('a', 1, { signal }),
    'request of the application': signal => alice.request(null, 1, { signal }),
    waitFor: signal => alice.waitFor('a.b', { signal }),
    wait: signal => alice.wait(60_000, { signal }),
    flush: signal => alice.flush({ signal }),
    subscribeRemoteTopic: signal => alice.subscribeRemoteTopic('t', { signal }),
    unsubscribeRemoteTopic: async signal => {
      await alice.subscribeRemoteTopic('u', { signal: AbortSignal.timeout(20) }).catch(() => {})
      await alice.unsubscribeRemoteTopic('u', { signal })
    },
    messages: signal => alice.messages('a.*', { signal }).next(),
    replies: signal => alice.publish('a', 1).replies({ signal }).next(),
    serve: signal => alice.serve('t2', 'x', () => {}, { signal }),
  }
  for (const [name, wait] of Object.entries(waits)) {
    for (const before of [true, false]) {
      const controller = new AbortController()
      if (before) controller.abort(reason)
      const outcome = wait(controller.signal)
      if (!before) setTimeout(() => controller.abort(reason), 50)
      const error = await Promise.resolve(outcome).then(
        () => assert.fail(`${name} was not ended`),
        error => error,
      )
      assert.ok(error instanceof CancelledError, `${name}: ${error}`)
      assert.deepEqual([error.code, error.number, error.cause], ['CANCELLED', -13, reason], name)
    }
  }
  assert.equal(alice.stats().waits, 0)

  const stuck = new AbortController()
  await assert.rejects(alice.disconnect({ signal: AbortSignal.abort(reason) }), { code: 'CANCELLED', cause: reason })
  assert.equal(alice.state, 'connected', 'what was aborted before is not begun')
  gateway.faults.stall({ subject: 'alice' })
  setTimeout(() => stuck.abort(reason), 50)
  await assert.rejects(alice.disconnect({ timeout: 60_000, signal: stuck.signal }), {
    code: 'CANCELLED',
    cause: reason,
  })
  gateway.faults.clear()
})

test('an aborted connect goes on no longer, unless others want it too', async t => {
  const { gateway, idle } = await world(t)
  gateway.faults.onConnect('half-open')
  const alice = idle('alice', { handshakeTimeout: 300 })
  const states = collect(alice, 'state', change => change.to)
  const aborting = new AbortController()
  const connecting = assert.rejects(alice.connect({ signal: aborting.signal }), { code: 'CANCELLED' })
  await states.until(1)
  aborting.abort()
  await connecting
  assert.deepEqual(await states.until(2), ['connecting', 'closed'])

  const again = new AbortController()
  const [one, other] = [alice.connect({ signal: again.signal }), alice.connect()]
  await states.until(3)
  again.abort()
  await assert.rejects(one, { code: 'CANCELLED' })
  gateway.faults.clear()
  assert.deepEqual(await other, alice.connection)
})

test('close and stop wait no longer than their AbortSignal lets them', async t => {
  const { client } = await world(t)
  const [alice, bob] = [await client('alice'), await client('bob')]
  let answer
  const asked = new Promise(resolve => {
    answer = resolve
  })
  let finish
  const serving = await bob.serve('main', 'slow', () => {
    answer()
    return new Promise(resolve => {
      finish = resolve
    })
  })
  const request = alice.request('main', 1, { messageType: 'slow' })
  await asked
  const aborting = new AbortController()
  const closing = assert.rejects(serving.close({ signal: aborting.signal }), { code: 'CANCELLED' })
  aborting.abort()
  await closing
  finish('late')
  assert.equal((await request).data, 'late', 'the answer is worked on all the same')
  await serving.close()

  const gateway = await LocalGateway.start()
  await assert.rejects(gateway.stop({ signal: AbortSignal.abort() }), { code: 'CANCELLED' })
  const still = new RealtimeClient({ url: gateway.urlWithToken('alice') })
  await still.connect()
  await Promise.all([still.disconnect(), gateway.stop({ signal: new AbortController().signal })])
})

test('request and serve: answers with status ok, errors with status error', async t => {
  const { client } = await world(t)
  const [alice, bob] = [await client('alice'), await client('bob')]
  const serving = await bob.serve('math', 'add', async message => {
    const [a, b] = message.data.payload
    if (typeof a !== 'number') throw new TypeError('numbers, please')
    return a + b
  })
  const sum = await alice.request('math', [1, 2], { messageType: 'add' })
  assert.deepEqual([sum.status, sum.data], ['ok', 3])
  const refused = await alice.request('math', ['1'], { messageType: 'add' })
  assert.deepEqual([refused.status, refused.data], ['error', 'numbers, please'])
  const many = await Promise.all(
    Array.from({ length: 200 }, (_, n) => alice.request('math', [n, n], { messageType: 'add' })),
  )
  assert.deepEqual(
    many.map(reply => reply.data),
    Array.from({ length: 200 }, (_, n) => 2 * n),
  )
  await serving.close()
  await assert.rejects(alice.request('math', [1, 2], { messageType: 'add', timeout: 30 }), { code: 'TIMEOUT' })

  const backend = await bob.serve('secure/inbound', 'hello', message => `hello ${message.data.client.subject}`)
  assert.equal((await alice.request(null, 1, { messageType: 'hello' })).data, 'hello alice')
  await backend[Symbol.asyncDispose]()
})

test('serve works on so many at once and no more', async t => {
  const { client } = await world(t)
  const [alice, bob] = [await client('alice'), await client('bob')]
  let working = 0
  let most = 0
  await bob.serve(
    'slow',
    'x',
    async () => {
      working += 1
      most = Math.max(most, working)
      await bob.wait(2)
      working -= 1
    },
    { concurrency: 3, compress: true },
  )
  await Promise.all(Array.from({ length: 20 }, () => alice.request('slow', 1, { messageType: 'x' })))
  assert.equal(most, 3)
})

test('replies streams the answers of all, until its time is up', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  for (const name of ['bob', 'carol', 'dave']) {
    const peer = await client(name)
    await peer.subscribeRemoteTopic('poll')
    peer.on('poll.vote', (_message, reply) => reply(name))
  }
  const votes = []
  for await (const reply of alice.publish('poll', '?', { messageType: 'vote' }).replies(300)) votes.push(reply.data)
  assert.deepEqual(votes.sort(), ['bob', 'carol', 'dave'])
})

test('a reply can be waited on like any message', async t => {
  const { client } = await world(t)
  const [alice, bob] = [await client('alice'), await client('bob')]
  await bob.subscribeRemoteTopic('chat')
  const acked = new Promise(resolve => {
    bob.on('chat.x', (message, reply) => {
      const waitFor = reply('one', 'fine')
      assert.equal(message.reply('two').id.length, 32)
      resolve(waitFor.waitForAck())
    })
  })
  const waitFor = alice.publish('chat', 1, { messageType: 'x' })
  const [first] = await waitFor.waitForReply()
  const second = await waitFor.reply()
  assert.deepEqual([first.status, first.data, second.status, second.data], ['fine', 'one', 'ok', 'two'])
  assert.deepEqual(await acked, [])
})

test('a wait that nobody awaits is no unhandled rejection of ours, and connection events come in order', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  const states = collect(alice, 'state', change => change.to)
  const lost = assert.rejects(alice.publish('a', 1).waitForReply(60_000), { code: 'CLOSED', number: -5 })
  await alice.disconnect()
  await lost
  await alice.connect()
  assert.deepEqual(states.slice(0, 3), ['closed', 'connecting', 'connected'])
})

test('the answers to more messages than are kept are refused, not waited for', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  const first = alice.publish('a', 0)
  for (let round = 0; round < 130; round += 1) {
    for (let index = 0; index < 512; index += 1) alice.publish('a', index)
    await alice.flush()
  }
  await assert.rejects(first.waitForAck(), { code: 'CANCELLED', message: /65,536/ })
})

test('bad timeouts and arguments are refused by name', async t => {
  const { client } = await world(t)
  const alice = await client('alice')
  assert.throws(() => alice.publish('a', 1).waitForAck(-1), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => alice.publish('a', 1).waitForAck('5'), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => alice.publish('', 1), { code: 'INVALID_ARGUMENT', message: /topic is empty/ })
  assert.throws(() => alice.publish(5, 1), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => alice.publish('a', 1, { id: '' }), { code: 'INVALID_ARGUMENT', message: /id is empty/ })
  assert.throws(() => alice.on('a.b', 'no function'), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => alice.on(5, () => {}), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => alice.messages('error'), { code: 'INVALID_ARGUMENT' })
  await assert.rejects(alice.waitFor('x'.repeat(5000)), { code: 'INVALID_ARGUMENT' })
  await assert.rejects(alice.subscribeRemoteTopic(''), { code: 'INVALID_ARGUMENT' })
})
