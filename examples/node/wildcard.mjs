// Listens with patterns: `*` is one segment, `**` any number.
import { RealtimeClient } from 'realtime-pubsub'
import { connection } from './connection.mjs'

const { url, end } = await connection('alice')
const client = new RealtimeClient({ url })
await client.connect()
await client.subscribeRemoteTopic('chat')
await client.subscribeRemoteTopic('sensors.kitchen')

client.on('chat.*', message => console.log('chat, any type:', message.messageType, message.data.payload))
client.on('sensors.**', message => console.log('any sensor:', message.topic, message.data.payload))
const readings = client.messages('sensors.*.reading')

client.publish('chat', 'hi', { messageType: 'text-message' })
client.publish('chat', { emoji: '👍' }, { messageType: 'reaction' })
client.publish('sensors.kitchen', 21.5, { messageType: 'reading' })
client.publish('sensors.kitchen', 22, { messageType: 'reading' })

for await (const message of readings) {
  console.log('in a loop:', message.data.payload)
  if (message.data.payload === 22) break
}

await client.disconnect()
await end()
