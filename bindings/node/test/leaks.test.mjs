// Nothing grows. RPS_FULL=1 runs the lengths that are promised; without it the same in short.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { program } from './support.mjs'

const full = process.env.RPS_FULL === '1'
const timeout = 600_000

const PRELUDE = `
  import { readdirSync } from 'node:fs'
  import { LocalGateway, RealtimeClient } from 'realtime-pubsub'
  const gateway = await LocalGateway.start({ connectionsPerSubject: 100_000 })
  const turn = () => new Promise(resolve => setImmediate(resolve))
  const settle = async () => {
    for (let n = 0; n < 6; n += 1) { globalThis.gc(); await new Promise(resolve => setTimeout(resolve, 20)) }
  }
  const look = () => ({
    rss: process.memoryUsage().rss / (1 << 20),
    files: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    handles: process.getActiveResourcesInfo().length,
  })
  /** Runs it twice to warm up, until allocators have what they keep, then again and again. */
  async function measure(rounds, work) {
    const looks = []
    for (let round = 0; round < rounds + 2; round += 1) { await work(); await settle(); looks.push(look()) }
    process.send({ first: looks[2], last: looks.at(-1) })
  }
`

async function grows(t, source) {
  const end = '\nawait gateway.stop(); process.disconnect()'
  const options = { execArgv: ['--expose-gc'], timeout }
  const { code, signal, errors, messages } = await program(t, PRELUDE + source + end, options)
  assert.deepEqual([code, signal], [0, null], errors)
  const [{ first, last }] = messages
  t.diagnostic(`RSS ${first.rss.toFixed(1)} MiB, then ${last.rss.toFixed(1)} MiB`)
  return { first, last }
}

/** RSS is noisy by some MiB, as allocators keep what they may use again. */
function isFlat({ first, last }) {
  assert.ok(last.rss - first.rss < 12, `${first.rss} MiB became ${last.rss} MiB`)
  assert.ok(last.files <= first.files + 1, `${first.files} files became ${last.files}`)
  assert.ok(last.threads <= first.threads + 1, `${first.threads} threads became ${last.threads}`)
  assert.ok(last.handles <= first.handles, `${first.handles} handles became ${last.handles}`)
}

test('clients that are made, connected and closed leave nothing behind', { timeout }, async t => {
  const each = full ? 2000 : 100
  isFlat(
    await grows(
      t,
      `const url = gateway.urlWithToken('alice')
       await measure(5, async () => {
         for (let n = 0; n < ${each}; n += 20) {
           await Promise.all(Array.from({ length: 20 }, async () => {
             const client = new RealtimeClient({ url })
             client.on('main.*', () => client.state)
             await client.connect()
             await client.publish('main', 1).waitForAck()
             await client.disconnect()
           }))
         }
       })`,
    ),
  )
})

test('clients that are forgotten without being connected are collected', { timeout }, async t => {
  isFlat(
    await grows(
      t,
      `await measure(5, async () => {
         for (let n = 0; n < ${full ? 5000 : 1000}; n += 1) {
           new RealtimeClient({ url: 'ws://127.0.0.1:1/apps/x', logger: console }).on('a.b', () => {})
           if (n % 200 === 0) { globalThis.gc(); await turn() }
         }
       })`,
    ),
  )
})

test('messages leave nothing behind', { timeout }, async t => {
  isFlat(
    await grows(
      t,
      `const client = new RealtimeClient({ url: gateway.urlWithToken('alice') })
       await client.connect()
       let heard = 0
       client.on('main.*', message => { heard += message.data.payload.length > 0 ? 1 : 0 })
       await measure(5, async () => {
         heard = 0
         for (let n = 0; n < ${full ? 200_000 : 10_000}; n += 200) {
           for (let burst = 0; burst < 200; burst += 1) client.publish('main', 'x'.repeat(128))
           await client.flush()
         }
         while (heard < ${full ? 200_000 : 10_000}) await turn()
       })
       await client.disconnect()`,
    ),
  )
})

test('waits that time out or are aborted leave nothing behind', { timeout }, async t => {
  isFlat(
    await grows(
      t,
      `const client = new RealtimeClient({ url: gateway.urlWithToken('alice') })
       await client.connect()
       gateway.faults.acks('drop')
       const controller = new AbortController()
       const { signal } = controller
       await measure(5, async () => {
         for (let n = 0; n < ${full ? 20_000 : 2000}; n += 200) {
           const aborting = new AbortController()
           const waits = Array.from({ length: 200 }, (_, index) => {
             const waitFor = client.publish('a', 1)
             if (index % 4 === 0) return waitFor.waitForAck(1)
             if (index % 4 === 1) return waitFor.waitForReply({ timeout: 1, signal })
             if (index % 4 === 2) return waitFor.waitForAck({ signal: aborting.signal })
             return client.waitFor('no.thing', { signal: aborting.signal })
           })
           aborting.abort()
           await Promise.allSettled(waits)
           // No more than the gateway takes in.
           await client.flush()
         }
         if (client.stats().waits !== 0) throw new Error('waits are left')
       })
       await settle()
       if (client.stats().receipts > 1000) throw new Error(client.stats().receipts + ' receipts are left')
       await client.disconnect()`,
    ),
  )
})
