// Compiled, never run: what the types promise, and what they refuse.
import {
  type ClientOptions,
  type ConnectionInfo,
  type ErrorCode,
  type IncomingMessage,
  LocalGateway,
  RealtimeClient,
  RealtimeError,
  type ReplyFunction,
  type ResponseMessage,
  TimeoutError,
  type WaitFor,
} from 'realtime-pubsub'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function is<_T extends true>(): void {}

interface Events {
  'chat.text-message': { text: string }
  'sensors.reading': number
}

export async function typed(client: RealtimeClient<Events>): Promise<void> {
  client.on('chat.text-message', (message, reply) => {
    is<Equal<typeof message, IncomingMessage<{ text: string }>>>()
    is<Equal<typeof reply, ReplyFunction>>()
    const text: string = message.data.payload.text
    reply({ text }, 'ok', { compress: true })
    // @ts-expect-error: the payload has no such field
    message.data.payload.other
  })
  client.on('sensors.reading', message => {
    is<Equal<typeof message.payload, number>>()
  })
  client.on('chat.*', message => {
    is<Equal<typeof message.data.payload, { text: string } | number>>()
  })
  client.on('session.started', info => {
    is<Equal<typeof info, ConnectionInfo>>()
  })
  client.on('close', event => {
    is<Equal<typeof event.code, number>>()
  })
  client.on('error', error => {
    is<Equal<typeof error, RealtimeError>>()
  })
  // @ts-expect-error: no such event
  client.on('chat.text-mesage', () => {})
  // @ts-expect-error: control events have no payload
  client.on('error', error => error.data)

  const [message] = await client.waitFor('chat.text-message', { timeout: 100 })
  is<Equal<typeof message, IncomingMessage<{ text: string }>>>()
  for await (const message of client.messages('sensors.reading')) {
    is<Equal<typeof message.data.payload, number>>()
  }
}

export async function untyped(client: RealtimeClient): Promise<void> {
  client.on('any.thing', (message: IncomingMessage, reply: ReplyFunction) => {
    reply(message.data.payload.whatever, 'ok')
  })
  client.on('session.started', (info: ConnectionInfo) => info.appId)
  client.on('error', (error: Error) => error.message)
  client.once('any.*', async message => message.topic).off('any.*', () => {})

  const waitFor: WaitFor = client.publish('topic', { any: 'thing' }, { messageType: 'type', compress: true, id: 'x' })
  const nothing = await waitFor.waitForAck(5000)
  is<Equal<typeof nothing, []>>()
  const [response] = await waitFor.waitForReply<string>({ timeout: 5000, signal: AbortSignal.timeout(1) })
  is<Equal<typeof response, ResponseMessage<string>>>()
  for await (const reply of waitFor.replies<number>(100)) is<Equal<typeof reply.data, number>>()
  const answer = await client.request<{ sum: number }>('math', [1, 2], { messageType: 'add', timeout: 100 })
  is<Equal<typeof answer.data.sum, number>>()

  await client.subscribeRemoteTopic('a')
  client.subscribeRemoteTopic('a').unsubscribeRemoteTopic('b').publish('c', 1)
  const info: ConnectionInfo = await client.connect({ timeout: 1000 })
  is<Equal<typeof info.id, string>>()
  await using serving = await client.serve<number[]>('math', 'add', message => message.payload.length)
  await serving.close()
  client.ref().unref()
  const { acks } = client.stats()
  is<Equal<typeof acks, number>>()
  // @ts-expect-error: a topic is needed
  client.publish(undefined, 1)
  // @ts-expect-error: no such option
  client.publish('a', 1, { type: 'x' })
}

export function errors(error: unknown): ErrorCode | undefined {
  if (error instanceof TimeoutError) {
    const number: number = error.number
    return number === -4 ? error.code : undefined
  }
  return error instanceof RealtimeError && error.code === 'FORBIDDEN' ? error.code : undefined
}

export async function gateway(): Promise<void> {
  await using gateway = await LocalGateway.start({ app: 'chat', acks: false, messageBytes: 1024 })
  const url: string = gateway.urlWithToken({ subject: 'alice', permissions: [], expiresIn: 1000 })
  await using client = new RealtimeClient<Events>({ url, offline: { messages: 3 }, tls: { ca: 'pem' } })
  await client.disconnect()
  gateway.faults.onConnect({ kind: 'refuse', code: 503 }, 2)
  // @ts-expect-error: a refusal needs its status
  gateway.faults.onConnect('refuse')
}

const options: ClientOptions = {
  websocketOptions: { urlProvider: async () => 'wss://host/apps/x', maxRetries: 10, debug: true },
  logger: console,
}
export const client = new RealtimeClient(options)
// @ts-expect-error: no such choice
export const wrong = new RealtimeClient({ url: '', overflow: 'explode' })
