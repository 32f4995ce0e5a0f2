// Measures how long a message and its reply take. Without REALTIME_URL it is its own pong.
import { RealtimeClient } from 'realtime-pubsub'
import { connection } from './connection.mjs'

const count = Number(process.argv[2] ?? 1000)
const { url, end } = await connection('ping')
const client = new RealtimeClient({ url })
await client.connect()
if (!process.env.REALTIME_URL) {
  await client.subscribeRemoteTopic('ping')
  client.on('ping.ping', (message, reply) => {
    reply(message.data.payload)
  })
}

const times = []
for (let n = 0; n < count; n += 1) {
  const from = performance.now()
  await client.publish('ping', n, { messageType: 'ping' }).waitForReply()
  times.push(performance.now() - from)
}
times.sort((a, b) => a - b)
const at = share => `${Math.round(times[Math.floor((count - 1) * share)] * 1000)} us`
console.log(`${count} round trips: p50 ${at(0.5)}, p99 ${at(0.99)}, most ${at(1)}`)

await client.disconnect()
await end()
