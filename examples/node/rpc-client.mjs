// Asks the RPC server. Without REALTIME_URL it serves the answers itself.
import { RealtimeClient } from 'realtime-pubsub'
import { connection } from './connection.mjs'

const { url, end } = await connection('client')
const client = new RealtimeClient({ url })
await client.connect()
if (!process.env.REALTIME_URL) {
  await client.serve('math', 'divide', ({ data: { payload } }) => {
    if (payload.b === 0) throw new RangeError('division by zero')
    return payload.a / payload.b
  })
}

for (const payload of [
  { a: 22, b: 7 },
  { a: 1, b: 0 },
]) {
  const { status, data } = await client.request('math', payload, { messageType: 'divide', timeout: 5000 })
  console.log(`${payload.a} / ${payload.b}:`, status, data)
}

await client.disconnect()
await end()
