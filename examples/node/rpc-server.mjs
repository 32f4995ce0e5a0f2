// Answers requests with a function. What it throws is a reply with status `error`.
import { RealtimeClient } from 'realtime-pubsub'
import { connection } from './connection.mjs'

const { url, end } = await connection('server')
const client = new RealtimeClient({ url })
await client.connect()

const serving = await client.serve('math', 'divide', message => {
  const { a, b } = message.data.payload
  if (b === 0) throw new RangeError('division by zero')
  return a / b
})
console.log('serving math.divide')

process.on('SIGINT', async () => {
  await serving.close()
  await client.disconnect()
  await end()
})
