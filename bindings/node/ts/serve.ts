import type { IncomingMessage } from './message.js'
import type { MessageStream } from './stream.js'
import { abortable, type WaitFor } from './waits.js'

/** How messages are to be answered. */
export interface AnswerOptions {
  /** How many answers are worked on at once; more messages wait. Default 64. */
  concurrency?: number
  /** Whether replies are sent as binary frames, which the wire may compress. Default: no. */
  compress?: boolean
  /** Ends the serving. */
  signal?: AbortSignal
}

/** A function that answers, see `serve`. */
export interface Serving extends AsyncDisposable {
  /**
   * Ends it, and resolves when the answers that are being worked on are sent. An aborted signal ends the waiting for
   * them.
   */
  close(options?: { signal?: AbortSignal }): Promise<void>
}

type Answer<T> = (message: IncomingMessage<T>) => unknown

/** @internal */
export class Server<T> implements Serving {
  readonly #messages: MessageStream<T>
  readonly #answer: Answer<T>
  readonly #options: AnswerOptions
  readonly #report: (error: unknown) => void
  readonly #working = new Set<Promise<void>>()
  readonly #ended: Promise<void>

  constructor(messages: MessageStream<T>, answer: Answer<T>, options: AnswerOptions, report: (error: unknown) => void) {
    this.#messages = messages
    this.#answer = answer
    this.#options = options
    this.#report = report
    this.#ended = this.#run()
  }

  async close(options?: { signal?: AbortSignal }): Promise<void> {
    await this.#messages.return()
    await abortable(this.#ended, options?.signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(): Promise<void> {
    const most = this.#options.concurrency ?? 64
    try {
      for await (const message of this.#messages) {
        const work = this.#reply(message).finally(() => this.#working.delete(work))
        this.#working.add(work)
        if (this.#working.size >= most) await Promise.race(this.#working)
      }
    } catch (error) {
      // An AbortSignal is how it was meant to end.
      if (!this.#options.signal?.aborted) this.#report(error)
    }
    await Promise.all(this.#working)
  }

  async #reply(message: IncomingMessage<T>): Promise<void> {
    const options = { compress: this.#options.compress === true }
    const send = (data: unknown, status: string): WaitFor => message.reply(data, status, options)
    try {
      let data: unknown
      try {
        data = await this.#answer(message)
      } catch (error) {
        send(error instanceof Error ? error.message : String(error), 'error')
        return
      }
      send(data, 'ok')
    } catch (error) {
      this.#report(error)
    }
  }
}
