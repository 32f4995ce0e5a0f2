// When processes and workers end, and what happens then. Each program is a process of its own.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { program, world } from './support.mjs'

const IMPORT = `import { LocalGateway, RealtimeClient } from 'realtime-pubsub'\nconst url = process.argv[2]\n`

/** Runs a program against a gateway of this process. */
async function run(t, source, options) {
  const { gateway } = await world(t)
  const result = await program(t, IMPORT + source, { args: [gateway.urlWithToken('child')], ...options })
  return { ...result, gateway }
}

test('an open connection keeps the process alive, disconnect lets it go', async t => {
  const { code, output, errors } = await run(
    t,
    `const client = new RealtimeClient({ url })
     await client.connect()
     // Nothing of Node's own is left that would keep the process.
     process.disconnect()
     setTimeout(() => {
       console.log('still here')
       client.disconnect()
     }, 200).unref()`,
  )
  assert.deepEqual([code, output, errors], [0, 'still here\n', ''])
})

test('unref lets the process go while connected, ref keeps it again', async t => {
  const { code, output } = await run(
    t,
    `const client = new RealtimeClient({ url })
     await client.connect()
     process.disconnect()
     client.unref().ref().unref()
     process.on('exit', () => console.log(client.state))`,
  )
  assert.deepEqual([code, output], [0, 'connected\n'])
})

test('a client that is not connected keeps nothing alive', async t => {
  const { code } = await run(t, `process.disconnect(); new RealtimeClient({ url }).on('a.b', () => {})`)
  assert.equal(code, 0)
})

test('a pending connect and a pending wait keep the process until they settle', async t => {
  const { code, output } = await run(
    t,
    `process.disconnect()
     const client = new RealtimeClient({ url: 'ws://127.0.0.1:1/apps/x' })
     await client.connect(200).catch(error => console.log(error.code))
     await client.waitFor('a.b', 100).catch(error => console.log(error.code))`,
  )
  assert.deepEqual([code, output], [0, 'HANDSHAKE_FAILED\nTIMEOUT\n'])
})

test('a client that has given up lets the process go', async t => {
  const { code, output } = await run(
    t,
    `process.disconnect()
     const client = new RealtimeClient({ url: 'ws://127.0.0.1:1/apps/x', maxRetries: 1, minReconnectDelay: 1 })
     client.on('state', change => console.log(change.to))
     client.start()`,
  )
  assert.deepEqual([code, output], [0, 'connecting\nfailed\n'])
})

test('a running gateway keeps the process alive, stop and unref let it go', async t => {
  const { code, output } = await run(
    t,
    `process.disconnect()
     const gateway = await LocalGateway.start()
     const other = (await LocalGateway.start()).unref()
     setTimeout(() => { console.log('stopping'); gateway.stop() }, 100).unref()`,
  )
  assert.deepEqual([code, output], [0, 'stopping\n'])
})

test('process.exit, an exception and a rejection end the process while clients are busy', async t => {
  const busy = `
    const clients = Array.from({ length: 5 }, () => new RealtimeClient({ url }))
    await Promise.all(clients.map(client => client.connect()))
    for (const client of clients) {
      client.on('main.*', () => {})
      for (let n = 0; n < 2000; n += 1) client.publish('main', n)
    }
    await clients[0].flush()
  `
  const exited = await run(t, `${busy}; process.exit(5)`)
  assert.deepEqual([exited.code, exited.signal], [5, null])
  const threw = await run(t, `${busy}; setImmediate(() => { throw new Error('mine') })`)
  assert.deepEqual([threw.code, threw.signal], [1, null])
  assert.match(threw.errors, /mine/)
  const rejected = await run(t, `${busy}; Promise.reject(new Error('mine'))`)
  assert.deepEqual([rejected.code, rejected.signal], [1, null])
})

test('a signal ends the process', async t => {
  const { signal } = await run(
    t,
    `const client = new RealtimeClient({ url })
     await client.connect()
     process.kill(process.pid, 'SIGTERM')`,
  )
  assert.equal(signal, 'SIGTERM')
})

test('nothing of ours is an unhandled rejection or a warning', async t => {
  const { code, output, errors } = await run(
    t,
    `process.on('unhandledRejection', error => { console.log('unhandled', error); process.exit(9) })
     const client = new RealtimeClient({ url })
     client.subscribeRemoteTopic('too early')
     await client.connect()
     client.on('main.*', async () => { throw new Error('mine') })
     client.on('main.*', (message, reply) => { reply(1) })
     client.publish('main', 1)
     client.publish('main', 2).waitForAck()
     for (let n = 0; n < 20; n += 1) client.subscribeRemoteTopic('t' + n)
     await client.wait(50)
     client.unsubscribeRemoteTopic('t1')
     client.disconnect()`,
  )
  assert.deepEqual([code, output, errors], [0, '', ''])
})

test("the user's own unhandled promise is still theirs", async t => {
  const { code, errors } = await run(
    t,
    `const client = new RealtimeClient({ url })
     await client.connect()
     client.publish('main', 1).waitForReply(20)`,
  )
  assert.equal(code, 1)
  assert.match(errors, /TimeoutError: no reply/)
})

const WORKER = `
  import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
  import { LocalGateway, RealtimeClient } from 'realtime-pubsub'
  const url = isMainThread ? process.argv[2] : workerData
  if (isMainThread) {
    for (let round = 0; round < 8; round += 1) {
      const workers = await Promise.all([0, 1, 2].map(() => new Promise(resolve => {
        const worker = new Worker(new URL(import.meta.url), { workerData: url })
        worker.on('error', error => { console.log(error); process.exit(3) })
        worker.once('message', () => resolve(worker))
      })))
      if (process.argv[3] === 'late') await new Promise(resolve => setTimeout(resolve, 20))
      await Promise.all(workers.map(worker => worker.terminate()))
    }
    console.log('all ended')
    process.exit(0)
  } else {
    const client = new RealtimeClient({ url, logger: console, logLevel: 'error' })
    const other = new RealtimeClient({ urlProvider: () => new Promise(() => {}) })
    other.start()
    await client.connect()
    client.on('main.*', () => {})
    const flood = () => {
      for (let n = 0; n < 200; n += 1) client.publish('main', n).waitForAck().catch(() => {})
      setImmediate(flood)
    }
    flood()
    parentPort.postMessage('ready')
  }
`

test('workers can be terminated while their clients are busy', async t => {
  const { gateway } = await world(t)
  for (const when of ['at once', 'late']) {
    const args = [gateway.urlWithToken('worker'), when]
    const { code, signal, output, errors } = await program(t, WORKER, { args, timeout: 60_000 })
    assert.deepEqual([code, signal, output], [0, null, 'all ended\n'], errors)
  }
})

test('a worker with a client ends by itself once that is disconnected', async t => {
  const { code, output } = await run(
    t,
    `import { Worker, isMainThread, workerData } from 'node:worker_threads'
     if (isMainThread) {
       process.disconnect()
       for (let n = 0; n < 3; n += 1) {
         new Worker(new URL(import.meta.url), { workerData: url }).on('exit', code => console.log('worker', code))
       }
     } else {
       const client = new RealtimeClient({ url: workerData })
       await client.connect()
       await client.publish('main', 1).waitForAck()
       await client.disconnect()
     }`,
  )
  assert.deepEqual([code, output], [0, 'worker 0\nworker 0\nworker 0\n'])
})

test('await using, or its like, disconnects', async t => {
  const { gateway, client } = await world(t)
  const alice = await client('alice')
  assert.equal(typeof alice[Symbol.asyncDispose], 'function')
  await alice[Symbol.asyncDispose]()
  assert.deepEqual([alice.state, gateway.connections().length], ['closed', 0])
})

test('many clients in one process, each with its own messages', async t => {
  const { client } = await world(t, { connectionsPerSubject: 1000 })
  const clients = await Promise.all(Array.from({ length: 100 }, (_, n) => client(`user${n}`)))
  const replies = await Promise.all(
    clients.map(async (one, n) => {
      await one.serve('main', `for${n}`, message => [n, message.data.payload])
      return one.request('main', n, { messageType: `for${n}` })
    }),
  )
  assert.deepEqual(
    replies.map(reply => reply.data),
    Array.from({ length: 100 }, (_, n) => [n, n]),
  )
})
