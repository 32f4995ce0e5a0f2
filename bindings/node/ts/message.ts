import { inspect } from 'node:util'
import { NotReplyableError } from './errors.js'
import type { WaitFor } from './waits.js'

/** Who sent a message, as the gateway says. */
export interface Sender {
  readonly connectionId: string
  readonly subject: string
  readonly permissions: readonly string[]
}

/** A client of the app came or went. */
export interface PresenceMessage {
  /** `connected` or `disconnected`. */
  readonly status: string
  readonly connectionId: string
  readonly subject: string
  readonly permissions: readonly string[]
}

/** How a reply is to be sent. */
export interface ReplyOptions {
  /** Whether the asker gets it as a binary frame, which the wire may compress. Default: no. */
  compress?: boolean
}

/** Answers a message: the second argument of every listener. */
export type ReplyFunction = (data: unknown, status?: string, options?: ReplyOptions) => WaitFor

/** What can send replies. @internal */
export interface Replier {
  /** @internal */
  replyTo(connectionId: string, id: string, data: unknown, status: string, compress: boolean): WaitFor
}

/** The `data` of a message that was published or sent over WebSocket. */
export class MessageData<T = any> {
  /** Who sent it. Messages of one sender share it; it is frozen. */
  readonly client: Sender
  /** What was published. */
  readonly payload: T
  // Ids that clients make are 16 bytes in hexadecimal: they are kept as four integers until somebody asks.
  // `null` where there is none.
  #id: string | null | undefined
  #a: number
  #b: number
  #c: number
  #d: number

  /** @internal */
  constructor(client: Sender, payload: T, id: string | null | undefined, a: number, b: number, c: number, d: number) {
    this.client = client
    this.payload = payload
    this.#id = id
    this.#a = a
    this.#b = b
    this.#c = c
    this.#d = d
  }

  /** The message's id. */
  get id(): string | undefined {
    if (this.#id === undefined) this.#id = hex(this.#a) + hex(this.#b) + hex(this.#c) + hex(this.#d)
    return this.#id ?? undefined
  }

  toJSON(): { client: Sender; payload: T; id: string | undefined } {
    return { client: this.client, payload: this.payload, id: this.id }
  }

  [inspect.custom](): unknown {
    return this.toJSON()
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0')
}

/**
 * A message from the gateway. `T` is the type of its payload.
 *
 * `data` is an object with `client`, `payload` and `id`; for a message that was published over REST it is whatever was
 * published.
 */
export class IncomingMessage<T = any> {
  /** The topic. */
  readonly topic: string
  /** The message type, `broadcast` where the sender gave none. */
  readonly messageType: string
  /** See the class. */
  readonly data: MessageData<T>
  /** Whether it came as a binary frame, which is how the gateway delivers what was published with `compress`. */
  readonly compression: boolean
  readonly #replier: Replier

  /** @internal */
  constructor(topic: string, messageType: string, data: MessageData<T>, compression: boolean, replier: Replier) {
    this.topic = topic
    this.messageType = messageType
    this.data = data
    this.compression = compression
    this.#replier = replier
  }

  /** What was published, also over REST. */
  get payload(): T {
    return this.data instanceof MessageData ? this.data.payload : (this.data as T)
  }

  /** Replies to the sender. Returns at once; the result can be waited on, for the ack or for a reply to the reply. */
  reply(data: unknown, status = 'ok', options?: ReplyOptions): WaitFor {
    const { data: own } = this
    const sender = own instanceof MessageData ? own.client : undefined
    if (sender === undefined) {
      throw new NotReplyableError("this message can't be replied to: it has no sender, as messages published over REST")
    }
    const connectionId = typeof sender?.connectionId === 'string' ? sender.connectionId : ''
    return this.#replier.replyTo(connectionId, own.id ?? '', data, status, options?.compress === true)
  }

  /** What a presence message says; `undefined` where this is none. */
  dataAsPresence(): PresenceMessage | undefined {
    const payload = this.payload as { status?: unknown } | null
    if (this.messageType !== 'presence' || typeof payload?.status !== 'string') return undefined
    const sender = this.data instanceof MessageData ? this.data.client : undefined
    const { connectionId = '', subject = '', permissions = [] } = sender ?? {}
    return { status: payload.status, connectionId, subject, permissions: Array.isArray(permissions) ? permissions : [] }
  }

  toJSON(): Pick<IncomingMessage<T>, 'topic' | 'messageType' | 'data' | 'compression'> {
    const { topic, messageType, data, compression } = this
    return { topic, messageType, data, compression }
  }

  [inspect.custom](): unknown {
    return this.toJSON()
  }
}

/** A reply. */
export interface ResponseMessage<T = any> {
  /** The id of the message it answers. */
  readonly id: string
  /** `ok`, or what the replier chose. */
  readonly status: string
  /** What was replied. */
  readonly data: T
}
