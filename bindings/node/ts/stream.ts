import { Reader, type Visitor } from './batch.js'
import { hub, type Source } from './hub.js'
import type { IncomingMessage, Replier } from './message.js'
import type { NativeStream } from './native.js'
import { cancelled } from './waits.js'

/** Room for a batch of a stream. It has its own, because `next` may be called while a client reads a batch. */
const WORDS = 128 * 24

/**
 * The messages that match a pattern, to be iterated over with `for await`. They have a queue of their own, which is
 * bounded as the client's inbox is. It ends when the loop is left, when the client is disconnected, and with a
 * `CancelledError` when its `AbortSignal` aborts.
 */
export class MessageStream<T = any> implements AsyncIterableIterator<IncomingMessage<T>> {
  readonly #native: NativeStream
  readonly #reader: Reader
  readonly #signal: AbortSignal | undefined
  readonly #onAbort: () => void
  readonly #closed: (stream: MessageStream<T>) => void
  readonly #waiting: {
    resolve(result: IteratorResult<IncomingMessage<T>, undefined>): void
    reject(error: unknown): void
  }[] = []
  readonly #source: Source = { drain: () => this.#arrived() }
  #messages: IncomingMessage<T>[] = []
  #next = 0
  #open = true
  #failure: Error | undefined

  /** @internal */
  constructor(
    native: NativeStream,
    replier: Replier,
    signal: AbortSignal | undefined,
    closed: (stream: MessageStream<T>) => void,
  ) {
    this.#native = native
    this.#closed = closed
    this.#signal = signal
    // A stream's batches hold messages only.
    const visitor = {
      message: (message: IncomingMessage) => this.#messages.push(message),
      replyTo: replier.replyTo.bind(replier),
    } as unknown as Visitor
    this.#reader = new Reader(native, new Uint32Array(WORDS), visitor)
    this.#onAbort = () => {
      if (signal) this.#failure = cancelled(signal)
      this.#messages = []
      this.#next = 0
      this.end()
    }
    hub.add(native.source(), this.#source)
    if (signal?.aborted) this.#onAbort()
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  next(): Promise<IteratorResult<IncomingMessage<T>, undefined>> {
    if (this.#next >= this.#messages.length) this.#fill()
    const value = this.#shift()
    if (value !== undefined) return Promise.resolve({ value, done: false })
    if (!this.#open) return this.#ended()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      hub.root(this.#source, true, false)
    })
  }

  return(): Promise<IteratorResult<IncomingMessage<T>, undefined>> {
    this.#messages = []
    this.#next = 0
    this.end()
    return Promise.resolve({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  /** Ends it; what was taken already is still given. @internal */
  end(): void {
    if (!this.#open) return
    this.#fill()
    this.#open = false
    this.#native.close()
    this.#signal?.removeEventListener('abort', this.#onAbort)
    hub.root(this.#source, false, false)
    for (const { resolve, reject } of this.#waiting.splice(0)) this.#ended().then(resolve, reject)
    this.#closed(this)
  }

  #arrived(): boolean {
    if (this.#waiting.length === 0) return false
    if (this.#next >= this.#messages.length) this.#fill()
    while (this.#waiting.length > 0) {
      const value = this.#shift()
      if (value === undefined) break
      this.#waiting.shift()?.resolve({ value, done: false })
    }
    if (this.#waiting.length === 0) hub.root(this.#source, false, false)
    return false
  }

  #ended(): Promise<IteratorResult<IncomingMessage<T>, undefined>> {
    const failure = this.#failure
    this.#failure = undefined
    return failure ? Promise.reject(failure) : Promise.resolve({ value: undefined, done: true })
  }

  #shift(): IncomingMessage<T> | undefined {
    const message = this.#messages[this.#next]
    if (message === undefined) return undefined
    this.#next += 1
    if (this.#next === this.#messages.length) {
      this.#messages = []
      this.#next = 0
    }
    return message
  }

  #fill(): void {
    if (this.#open) this.#reader.drain(Number.POSITIVE_INFINITY)
  }
}
