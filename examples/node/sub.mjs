// Prints what comes on some topics, until Ctrl-C.
import { RealtimeClient } from 'realtime-pubsub'
import { connection } from './connection.mjs'

const topics = process.argv.slice(2)
if (topics.length === 0) topics.push('chat')

const { url, end } = await connection('sub')
const client = new RealtimeClient({ url })
client.on('state', change => console.error(`${change.from} -> ${change.to}: ${change.reason}`))
client.on('**', ({ topic, messageType, payload }) => console.log(`${topic}.${messageType}: ${JSON.stringify(payload)}`))
await client.connect()
for (const topic of topics) await client.subscribeRemoteTopic(topic)
console.log('listening')

process.on('SIGINT', async () => {
  await client.disconnect()
  await end()
})
