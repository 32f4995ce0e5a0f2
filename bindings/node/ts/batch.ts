import type { Fault } from './errors.js'
import { parseBig } from './json.js'
import type { Listener } from './listeners.js'
import { IncomingMessage, MessageData, type Replier, type ResponseMessage, type Sender } from './message.js'
import type { Drained } from './native.js'

/** The control events, in the order of `src/batch.rs`. */
export const CONTROL_EVENTS = ['session.started', 'error', 'close', 'state', 'lagged'] as const
export type ControlName = (typeof CONTROL_EVENTS)[number]

/** Who is told what a batch holds. */
export interface Visitor extends Replier {
  message(message: IncomingMessage, listeners: readonly Listener[]): void
  control(name: ControlName, detail: unknown, listeners: readonly Listener[]): void
  acked(token: number): void
  replied(token: number, reply: ResponseMessage): void
  failed(token: number, fault: Fault): void
  done(token: number, value: unknown): void
  happened(token: number, name: ControlName | undefined, detail: unknown): void
  asked(request: number): void
  logged(level: number, message: string): void
  listener(id: number): Listener | undefined
}

// The records of `src/batch.rs`, which says what they are.
const MESSAGE = 0
const ACKED = 1
const REPLIED = 2
const FAILED = 3
const EVENT = 4
const CONTROL = 5
const DONE = 6
const URL = 7
const NAME = 8
const SENDER = 9
const LISTENERS = 10
const LOG = 11

const COMPRESSED = 1 << 8
const WHOLE = 1 << 9
const PACKED_ID = 1 << 10
const TEXT_ID = 1 << 11
const BIG = 1 << 12

const HEADER = 2
/** The clock is looked at after so many messages. */
const CLOCK = 16
const NO_VALUES: readonly unknown[] = []
const NO_LISTENERS: readonly Listener[] = []

/** A batch whose turn was over before it was. */
interface Rest {
  words: Uint32Array
  at: number
  values: readonly unknown[]
  next: number
}

/** Reads the batches of one client or stream. */
export class Reader {
  readonly #native: Drained
  readonly #words: Uint32Array
  readonly #visitor: Visitor
  readonly #names: [topic: string, messageType: string][] = []
  readonly #senders: Sender[] = []
  readonly #listeners: (readonly Listener[])[] = []
  #rest: Rest | undefined
  #more = false

  /** Batches are written to `words`, which may be shared: it is free again when `drain` returns. */
  constructor(native: Drained, words: Uint32Array, visitor: Visitor) {
    this.#native = native
    this.#words = words
    this.#visitor = visitor
  }

  /**
   * Reads one batch, and says whether there is more. What the deadline leaves over is read the next time. With
   * `settledOnly` messages and control events that were not taken yet stay with the native part.
   */
  drain(deadline: number, settledOnly = false): boolean {
    const rest = this.#rest
    if (rest !== undefined) {
      this.#rest = undefined
      this.#read(rest.words, rest.words.length, rest.at, rest.values, rest.next, deadline)
      // A wake-up that came meanwhile was spent on this.
      return true
    }
    const words = this.#words
    const text = this.#native.drain(words, settledOnly)
    this.#more = words[1] === 1
    return this.#read(words, words[0], HEADER, text === null ? NO_VALUES : JSON.parse(text), 0, deadline)
  }

  #read(
    words: Uint32Array,
    end: number,
    from: number,
    values: readonly unknown[],
    first: number,
    deadline: number,
  ): boolean {
    const visitor = this.#visitor
    let at = from
    let next = first
    let event = -1
    let clock = 0
    while (at < end) {
      const head = words[at]
      switch (head & 0xff) {
        case MESSAGE: {
          const value = (head & BIG) === 0 ? values[next] : parseBig(values[next] as string)
          next += 1
          const [topic, messageType] = this.#names[words[at + 2]]
          let data: MessageData
          let length = 4
          if ((head & WHOLE) !== 0) {
            data = value as MessageData
          } else {
            const sender = this.#senders[words[at + 3]]
            if ((head & PACKED_ID) !== 0) {
              // As 32-bit integers, which need no memory of their own.
              const [a, b, c, d] = [words[at + 4] | 0, words[at + 5] | 0, words[at + 6] | 0, words[at + 7] | 0]
              data = new MessageData(sender, value, undefined, a, b, c, d)
              length = 8
            } else {
              const id = (head & TEXT_ID) !== 0 ? (values[next++] as string) : null
              data = new MessageData(sender, value, id, 0, 0, 0, 0)
            }
          }
          const message = new IncomingMessage(topic, messageType, data, (head & COMPRESSED) !== 0, visitor)
          const listeners = words[at + 1]
          at += length
          if (event >= 0) {
            visitor.happened(event, undefined, message)
            event = -1
            break
          }
          visitor.message(message, this.#listeners[listeners] ?? NO_LISTENERS)
          clock += 1
          if (clock === CLOCK && at < end) {
            clock = 0
            if (performance.now() > deadline) {
              this.#rest = { words: words.slice(0, end), at, values, next }
              return true
            }
          }
          break
        }
        case ACKED:
          visitor.acked(words[at + 1] + words[at + 2] * 0x1_0000_0000)
          at += 3
          break
        case REPLIED: {
          const value = values[next++]
          const reply = ((head & BIG) === 0 ? value : parseBig(value as string)) as ResponseMessage
          visitor.replied(words[at + 1] + words[at + 2] * 0x1_0000_0000, reply)
          at += 3
          break
        }
        case FAILED:
          visitor.failed(words[at + 1] + words[at + 2] * 0x1_0000_0000, values[next++] as Fault)
          at += 3
          break
        case EVENT:
          event = words[at + 1] + words[at + 2] * 0x1_0000_0000
          at += 3
          break
        case CONTROL: {
          const name = CONTROL_EVENTS[(head >> 8) & 0xff]
          const detail = values[next++]
          const listeners = words[at + 1]
          at += 2
          if (event >= 0) {
            visitor.happened(event, name, detail)
            event = -1
          } else {
            visitor.control(name, detail, this.#listeners[listeners] ?? NO_LISTENERS)
          }
          break
        }
        case DONE:
          visitor.done(words[at + 1] + words[at + 2] * 0x1_0000_0000, values[next++])
          at += 3
          break
        case URL:
          visitor.asked(words[at + 1])
          at += 2
          break
        case NAME:
          this.#names[words[at + 1]] = values[next++] as [string, string]
          at += 2
          break
        case SENDER:
          this.#senders[words[at + 1]] = frozen(values[next++] as Sender)
          at += 2
          break
        case LISTENERS: {
          const ids = values[next++] as number[]
          this.#listeners[words[at + 1]] = ids.flatMap(id => visitor.listener(id) ?? [])
          at += 2
          break
        }
        case LOG:
          visitor.logged((head >> 8) & 0xff, values[next++] as string)
          at += 1
          break
        default:
          throw new Error(`the native part told of something unknown: ${head}`)
      }
    }
    return this.#more
  }
}

/** Many messages share it. */
function frozen(sender: Sender): Sender {
  if (Array.isArray(sender?.permissions)) Object.freeze(sender.permissions)
  return Object.freeze(sender)
}
