// Replies to pings, until Ctrl-C.
import { RealtimeClient } from 'realtime-pubsub'
import { connection } from './connection.mjs'

const { url, end } = await connection('pong')
const client = new RealtimeClient({ url })
await client.connect()
await client.subscribeRemoteTopic('ping')
client.on('ping.ping', (message, reply) => {
  reply(message.data.payload)
})
console.log('waiting for pings')

process.on('SIGINT', async () => {
  await client.disconnect()
  await end()
})
