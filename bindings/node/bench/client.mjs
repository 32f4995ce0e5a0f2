// One case of one client: `client.mjs CLIENT CASE URL SECONDS`. Prints the figure: a second, or microseconds. The loops are
// those of the other languages; the peer, `bench serve`, gives more messages to who asks for them. For run.mjs and tests/bench.
import { clients } from './clients.mjs'

const CHUNK = 5000
const [, , name, what, url, seconds] = process.argv
const client = await clients[name](url)
const turn = () => new Promise(resolve => setImmediate(resolve))
const now = () => performance.now() / 1000
const length = Number(seconds)

/** Operations a second, with so many going on at once. */
async function outstanding(operation, count) {
  const start = now()
  let done = 0
  const worker = async () => {
    while (now() < start + length) {
      await operation()
      done += 1
    }
  }
  await Promise.all(Array.from({ length: count }, worker))
  return done / (now() - start)
}

/** Messages received a second, their payloads read. */
function receive() {
  return new Promise((resolve, reject) => {
    const start = now()
    let count = 0
    let bytes = 0
    client.listen(payload => {
      bytes += payload.length
      count += 1
      if (count % CHUNK !== 0) return
      if (now() < start + length) client.more()
      else if (bytes !== count * 128) reject(new Error('messages were lost'))
      else resolve(count / (now() - start))
    })
    for (let index = 0; index < 3; index += 1) client.more()
  })
}

/** Publishes that nobody waits for, all of which have arrived. */
async function fire() {
  const start = now()
  let count = 0
  while (now() < start + length) {
    for (let burst = 0; burst < 8; burst += 1) {
      for (let index = 0; index < 64; index += 1) client.fire()
      count += 64
      await turn()
    }
    // What waits to be written is bounded.
    await client.written()
  }
  return count / (now() - start)
}

/** The median of one ack at a time, microseconds. */
async function latency() {
  const times = []
  const start = now()
  while (now() < start + length) {
    const from = now()
    await client.ack()
    times.push(now() - from)
  }
  return times.sort((a, b) => a - b)[times.length >> 1] * 1e6
}

const [kind, count] = what.split('-')
const cases = {
  ack: () => outstanding(client.ack, Number(count)),
  reply: () => outstanding(client.ask, Number(count)),
  receive,
  fire,
  latency,
}
const before = process.cpuUsage()
const start = performance.now()
const figure = await cases[kind]()
const { user, system } = process.cpuUsage(before)
// Of what was done in that time; per second of this process's processor time.
const busy = (figure * (performance.now() - start) * 1000) / (user + system)
// A parent that listens takes both.
if (process.send) await new Promise(resolve => process.send({ figure, busy }, resolve))
else console.log(figure.toFixed(1))
process.exit(0)
