// Connects, subscribes, publishes, and waits for the ack and a reply.
import { RealtimeClient } from 'realtime-pubsub'
import { connection } from './connection.mjs'

const { url, end } = await connection('alice')
const client = new RealtimeClient({ websocketOptions: { urlProvider: async () => url } })

client.on('error', error => console.error(error))
client.on('close', event => console.log('closed:', event.code, event.reason))
client.on('session.started', info => console.log('session started:', info.appId))

client.on('chat.text-message', (message, reply) => {
  console.log('received:', message.data.payload)
  reply('Got it!')
})

await client.connect()
await client.waitFor('session.started')
await client.subscribeRemoteTopic('chat')

const waitFor = client.publish('chat', 'Hello, World!', { messageType: 'text-message' })
await waitFor.waitForAck(500)
console.log('acknowledged')
const [response] = await waitFor.waitForReply(500)
console.log('reply:', response.status, response.data)

await client.disconnect()
await end()
