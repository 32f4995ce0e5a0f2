// Publishes one message and waits for its ack.
import { RealtimeClient } from 'realtime-pubsub'
import { connection } from './connection.mjs'

const [topic = 'chat', message = 'Hello!', messageType] = process.argv.slice(2)

const { url, end } = await connection('pub')
const client = new RealtimeClient({ url })
await client.connect()
await client.publish(topic, message, messageType === undefined ? {} : { messageType }).waitForAck()
console.log('acknowledged')
await client.disconnect()
await end()
