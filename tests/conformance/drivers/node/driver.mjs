// The Node package's driver for the conformance scenarios: see `tests/conformance/README.md`.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

// The package as it was built, or as it is installed.
const { RealtimeClient, RealtimeError } = createRequire(import.meta.url)(process.env.REALTIME_PUBSUB_PACKAGE ?? 'realtime-pubsub')

// ---- JSON whose integers keep their digits: BigInts here, as with the client's option `bigint`

const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g
const MARK = '\ue000bigint:'

function parse(text) {
  const marked = text.replace(TOKENS, token =>
    /^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${MARK}${token}"` : token,
  )
  return JSON.parse(marked, (_, value) =>
    typeof value === 'string' && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value,
  )
}

function write(value) {
  const text = JSON.stringify(value, (_, value) => (typeof value === 'bigint' ? MARK + value : value))
  return text.replace(new RegExp(`"${MARK}(-?\\d+)"`, 'g'), '$1')
}

const say = line => process.stdout.write(`${write(line)}\n`)

// ---- what the runner is told

const snake = object =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [name.replace(/[A-Z]/g, c => `_${c.toLowerCase()}`), value]))

const toldError = error => ({ number: error.number, name: error.code, message: error.message, topic: error.topic ?? null })

function toldMessage(message) {
  // Over REST `data` is what was published: anything. Over WebSocket it is MessageData.
  const overWebSocket = message.data?.constructor?.name === 'MessageData'
  const presence = message.dataAsPresence()
  return {
    kind: 'message',
    topic: message.topic,
    message_type: message.messageType,
    payload: message.payload,
    id: overWebSocket ? (message.data.id ?? null) : null,
    compression: message.compression,
    sender: overWebSocket && message.data.client ? snake(message.data.client) : null,
    presence: presence ? snake(presence) : null,
  }
}

function toldEvent(name, event) {
  if (event instanceof RealtimeError) return { kind: 'error', ...toldError(event) }
  if (['session.started', 'close', 'state', 'lagged'].includes(name)) return { kind: name, ...snake(event) }
  return toldMessage(event)
}

const toldReply = reply => ({ id: reply.id, status: reply.status, data: reply.data })

// ---- options: names in camel case, times as they are

const NAMES = { backoff_min: 'minReconnectDelay', backoff_max: 'maxReconnectDelay' }
const camel = name => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase())

function optionsOf({ offline, offline_messages, offline_bytes, offline_ttl, overflow, ...others }) {
  const { ca_pem: ca, only_own_ca: onlyOwnCa, client_cert_pem: cert, client_key_pem: key, ...rest } = others
  const options = { bigint: true, tls: { ca, onlyOwnCa, cert, key } }
  for (const [name, value] of Object.entries(rest)) options[NAMES[name] ?? camel(name)] = value
  if (overflow) options.overflow = overflow.replace('_', '-')
  if (offline === 'queue') {
    const bounds = { messages: offline_messages, bytes: offline_bytes, ttl: offline_ttl }
    options.offline = Object.fromEntries(Object.entries(bounds).filter(([, value]) => value !== undefined))
  }
  return options
}

// ---- gates that listeners hold

class Gate {
  open = 0
  waiting = []
  hold() {
    if (this.open > 0) {
      this.open -= 1
      return Promise.resolve()
    }
    return new Promise(resolve => this.waiting.push(resolve))
  }
  release() {
    const next = this.waiting.shift()
    if (next) next()
    else this.open += 1
  }
}

class Thrown extends Error {}
class Cannot extends Error {}

const clients = new Map()
const waits = new Map()
const listeners = new Map()
const streams = new Map()
const servings = new Map()
const gates = new Map()
const running = new Map()

const gate = name => {
  if (!gates.has(name)) gates.set(name, new Gate())
  return gates.get(name)
}

const timeoutOf = ({ timeout, signal }) => ({ ...(timeout !== undefined && { timeout }), ...(signal && { signal }) })

function howOf({ message_type, id, compress }) {
  return {
    ...(message_type !== undefined && { messageType: message_type }),
    ...(id !== undefined && { id }),
    ...(compress !== undefined && { compress }),
  }
}

function keep({ wait }, waitFor) {
  if (wait) waits.set(wait, waitFor)
  return { id: waitFor.id ?? null }
}

function listenerOf({ name, listener, then = [] }) {
  if (then.length === 0) return event => say({ listener, event: toldEvent(name, event) })
  return async event => {
    say({ listener, event: toldEvent(name, event) })
    const did = []
    let thrown
    for (const step of then) {
      if (step.do === 'throw') thrown = new Thrown(step.text)
      else did.push(await outcome(step, event))
    }
    say({ listener, did })
    if (thrown) throw thrown
  }
}

const operations = {
  release: ({ gate: name }) => gate(name).release(),
  hold: ({ gate: name }) => gate(name).hold(),
  use_handle() {
    throw new Cannot('there are no handles')
  },
  wait_for_itself() {
    throw new Cannot('waits are promises')
  },
  cancel: ({ op }) => running.get(op).abort(),

  new({ client, url, urls, options = {} }) {
    const source = { url }
    if (urls) {
      const left = [...urls]
      source.urlProvider = async () => {
        const given = left.length > 1 ? left.shift() : left[0]
        if (typeof given === 'string') return given
        throw new Error(given.fails)
      }
      delete source.url
    }
    clients.set(client, new RealtimeClient({ ...source, ...optionsOf(options) }))
  },

  async drop({ client: name }) {
    const client = clients.get(name)
    if (!client) return
    clients.delete(name)
    const run = `${name.split('.')[0]}.`
    for (const [key, held] of gates) {
      if (!key.startsWith(run)) continue
      held.open = Number.POSITIVE_INFINITY
      for (const go of held.waiting.splice(0)) go()
    }
    for (const things of [waits, streams, servings]) {
      for (const key of things.keys()) if (key.startsWith(run)) things.delete(key)
    }
    await client.disconnect({ timeout: 200 })
  },

  connect: async (o, client) => snake(await client.connect(timeoutOf(o))),
  start: (_, client) => void client.start(),
  disconnect: (o, client) => client.disconnect(timeoutOf(o)),
  flush: (o, client) => client.flush(timeoutOf(o)),
  subscribe: async ({ topic, signal }, client) => void (await client.subscribeRemoteTopic(topic, { signal })),
  unsubscribe: async ({ topic, signal }, client) => void (await client.unsubscribeRemoteTopic(topic, { signal })),
  state: (_, client) => client.state,
  connection: (_, client) => (client.connection ? snake(client.connection) : null),
  stats: (_, client) => snake(client.stats()),
  publish: (o, client) => keep(o, client.publish(o.topic, o.payload, howOf(o))),
  publish_now: (o, client) => keep(o, client.publish(o.topic, o.payload, howOf(o))),
  send: (o, client) => keep(o, client.send(o.payload, howOf(o))),
  burst: ({ topic, count }, client) => {
    for (let number = 0; number < count; number += 1) client.publish(topic, number)
  },
  request: async (o, client) => toldReply(await client.request(o.topic, o.payload, { ...howOf(o), ...timeoutOf(o) })),
  reply: (o, _, message) => keep(o, message.reply(o.data, o.status, { compress: o.compress === true })),
  ack: async o => void (await waits.get(o.wait).waitForAck(timeoutOf(o))),
  next_reply: async o => toldReply((await waits.get(o.wait).waitForReply(timeoutOf(o)))[0]),
  async replies(o) {
    const told = []
    for await (const reply of waits.get(o.wait).replies(timeoutOf(o))) told.push(toldReply(reply))
    return told
  },
  forget: ({ wait }) => void waits.delete(wait),
  on(o, client) {
    const listener = listenerOf(o)
    client.on(o.name, listener)
    listeners.set(o.listener, [o.name, listener])
  },
  once(o, client) {
    const listener = listenerOf(o)
    client.once(o.name, listener)
    listeners.set(o.listener, [o.name, listener])
  },
  off: ({ listener }, client) => void client.off(...listeners.get(listener)),
  wait_for: async (o, client) => toldEvent(o.name, (await client.waitFor(o.name, timeoutOf(o)))[0]),
  messages: ({ name, stream }, client) => void streams.set(stream, client.messages(name)),
  next: async ({ stream }) => {
    const { value, done } = await streams.get(stream).next()
    return done ? null : toldMessage(value)
  },
  close_stream: async ({ stream }) => void (await streams.get(stream).return()),
  async serve({ topic, message_type, answer, serving }, client) {
    const answered = message => {
      if (answer === 'echo') return message.payload
      throw new Error(answer.throw)
    }
    servings.set(serving, await client.serve(topic, message_type, answered))
  },
  stop_serving: ({ serving }) => servings.get(serving).close(),
}

async function outcome(operation, message) {
  try {
    return { ok: (await operations[operation.do](operation, clients.get(operation.client), message)) ?? null }
  } catch (error) {
    if (error instanceof RealtimeError) {
      if (error.code === 'CANCELLED') return { error: { cancelled: true } }
      return { error: toldError(error) }
    }
    if (error instanceof Cannot) return { cannot: error.message }
    return { error: { number: 1, message: String(error?.stack ?? error) } }
  }
}

say({ protocol: 1, language: 'node' })
const lines = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })
lines.on('line', async line => {
  const operation = parse(line)
  if (operation.op !== undefined && operation.do !== 'cancel') {
    const controller = new AbortController()
    operation.signal = controller.signal
    running.set(operation.op, controller)
  }
  say({ n: operation.n, ...(await outcome(operation)) })
})
lines.on('close', () => process.exit(0))
