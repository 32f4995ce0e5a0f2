// Measures one case of one client: `measure.mjs CLIENT CASE URL`. Prints the number.
import { clients } from './clients.mjs'

const [, , name, what, url] = process.argv
const client = await clients[name](url)
const turn = () => new Promise(resolve => setImmediate(resolve))

/** Starts a clock; what it returns tells so many operations a second, and a second of this process's processor time. */
function clock() {
  const from = performance.now()
  const before = process.cpuUsage()
  return count => {
    const { user, system } = process.cpuUsage(before)
    return { rate: (count / (performance.now() - from)) * 1e3, busy: (count / (user + system)) * 1e6 }
  }
}

/** Operations a second, with so many going on at once. */
async function rate(operation, outstanding, milliseconds) {
  const run = async until => {
    let done = 0
    const worker = async () => {
      while (performance.now() < until) {
        await operation()
        done += 1
      }
    }
    const rates = clock()
    await Promise.all(Array.from({ length: outstanding }, worker))
    return rates(done)
  }
  await run(performance.now() + milliseconds / 3)
  return run(performance.now() + milliseconds)
}

/** Messages a second, published without asking for anything, until all have reached the gateway. */
async function fire(milliseconds) {
  const run = async until => {
    let done = 0
    const rates = clock()
    while (performance.now() < until) {
      for (let burst = 0; burst < 8; burst += 1) {
        for (let index = 0; index < 64; index += 1) client.fire()
        done += 64
        await turn()
      }
      // What waits to be written is bounded.
      await client.written()
    }
    return rates(done)
  }
  await run(performance.now() + milliseconds / 3)
  return run(performance.now() + milliseconds)
}

/** Messages received a second, their payloads read. */
async function receive(count) {
  let bytes = 0
  let left = 0
  let done
  client.listen(payload => {
    bytes += payload.length
    left -= 1
    if (left === 0) done()
  })
  const run = async messages => {
    left = messages
    const all = new Promise(resolve => {
      done = resolve
    })
    const rates = clock()
    process.send({ flood: messages })
    await all
    return rates(messages)
  }
  await run(200_000)
  const received = await run(count)
  if (bytes !== (count + 200_000) * 128) throw new Error('messages were lost')
  return received
}

/** The median of one ack at a time, microseconds. */
async function latency(count) {
  for (let index = 0; index < count / 4; index += 1) await client.ack()
  const times = new Float64Array(count)
  for (let index = 0; index < count; index += 1) {
    const from = performance.now()
    await client.ack()
    times[index] = performance.now() - from
  }
  const median = times.sort()[count >> 1] * 1000
  return { rate: median, busy: median }
}

const cases = {
  'ack 64': () => rate(client.ack, 64, 1500),
  'ack 1024': () => rate(client.ack, 1024, 1500),
  'receive 128 B': () => receive(600_000),
  'fire and forget': () => fire(1500),
  // The client answers itself: on its core are both sides of it.
  'reply 64': async () => {
    await client.answer()
    return rate(client.ask, 64, 1500)
  },
  'ack p50': () => latency(4000),
}

process.send({ result: await cases[what]() })
await client.close()
process.exit(0)
