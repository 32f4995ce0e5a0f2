// The same few operations, done by each of the clients that are compared.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

async function ours(url) {
  const { RealtimeClient } = require('../dist/index.js')
  const client = new RealtimeClient({ url })
  await client.connect()
  return {
    ack: () => client.publish('bench', PAYLOAD, OPTIONS).waitForAck(30_000),
    ask: () => client.publish('ask', PAYLOAD, OPTIONS).waitForReply(30_000),
    fire: () => void client.publish('bench', PAYLOAD, OPTIONS),
    more: () => void client.publish('more', 'flood.data'),
    written: () => client.flush(),
    listen: listener => client.on('flood.data', message => listener(message.data.payload)),
    close: () => client.disconnect(),
  }
}

async function published(url) {
  const { RealtimeClient } = require('realtime-pubsub-client')
  const WebSocket = require('ws')
  const client = new RealtimeClient({ websocketOptions: { urlProvider: async () => url, WebSocket } })
  const started = client.waitFor('session.started')
  await client.connect()
  await started
  // It changes the options it is given.
  const options = () => ({ messageType: 'data' })
  return {
    ack: () => client.publish('bench', PAYLOAD, options()).waitForAck(30_000),
    ask: () => client.publish('ask', PAYLOAD, options()).waitForReply(30_000),
    fire: () => void client.publish('bench', PAYLOAD, options()),
    more: () => void client.publish('more', 'flood.data', options()),
    written: () => client.publish('bench', PAYLOAD, options()).waitForAck(30_000),
    listen: listener => client.on('flood.data', message => listener(message.data.payload)),
    close: () => client.disconnect(),
  }
}

async function byHand(url) {
  const WebSocket = require('ws')
  const socket = new WebSocket(url)
  const acks = new Map()
  const replies = new Map()
  let heard
  let last = 0
  const wait = (waiting, id) => new Promise(resolve => waiting.set(id, resolve))
  const settle = (waiting, id, value) => {
    waiting.get(id)?.(value)
    waiting.delete(id)
  }
  await new Promise(resolve => {
    socket.on('message', data => {
      const { topic, messageType, data: body } = JSON.parse(data.toString())
      if (topic === 'flood') heard(body.payload)
      else if (topic === 'priv/acks') settle(acks, body.data)
      else if (messageType === 'response') settle(replies, body.payload.id, body.payload)
      else if (messageType === 'welcome') resolve()
    })
  })
  const publish = (topic, payload = PAYLOAD, messageType = 'data') => {
    last += 1
    const id = last.toString(36)
    socket.send(JSON.stringify({ type: 'publish', data: { topic, messageType, payload, id } }))
    return id
  }
  return {
    ack: () => wait(acks, publish('bench')),
    ask: () => wait(replies, publish('ask')),
    fire: () => void publish('bench'),
    more: () => void publish('more', 'flood.data'),
    written: () => wait(acks, publish('bench')),
    listen: listener => {
      heard = listener
    },
    close: () => socket.close(),
  }
}

const PAYLOAD = 'x'.repeat(128)
const OPTIONS = { messageType: 'data' }

export const clients = { ours, published, 'ws by hand': byHand }
