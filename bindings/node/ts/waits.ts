import { CancelledError, InvalidArgumentError, RealtimeError, TimeoutError } from './errors.js'
import type { ResponseMessage } from './message.js'
import type { NativeClient } from './native.js'

/** How long to wait, and what ends the waiting before. */
export interface WaitOptions {
  /** Milliseconds; 0 or `Infinity`: as long as it takes. Default: the client's `waitTimeout`, 5 s. */
  timeout?: number
  /** Ends the wait with a `CancelledError`. */
  signal?: AbortSignal
}

/** A promise that is not settled. */
interface Pending {
  resolve(value: unknown): void
  reject(error: unknown): void
  /** The value is what was asked for, not an array with it. */
  bare: boolean
  signal: AbortSignal | undefined
  onAbort: (() => void) | undefined
}

/** What the native part takes for its default. */
const DEFAULT_TIMEOUT = -1
const NOTHING: readonly [] = Object.freeze([])

export function timeoutOf(options: WaitOptions | number | undefined): number {
  const timeout: unknown = typeof options === 'object' ? options?.timeout : options
  if (timeout === undefined) return DEFAULT_TIMEOUT
  if (typeof timeout !== 'number' || !(timeout >= 0)) {
    throw new InvalidArgumentError(`a timeout is milliseconds, not ${String(timeout)}`)
  }
  return timeout === 0 ? Number.POSITIVE_INFINITY : timeout
}

export function signalOf(options: WaitOptions | number | undefined): AbortSignal | undefined {
  return typeof options === 'object' ? options?.signal : undefined
}

export function cancelled(signal: AbortSignal): CancelledError {
  return new CancelledError('the wait was cancelled by its AbortSignal', { cause: signal.reason })
}

/** What the promise brings, unless the signal aborts before. What it is about goes on. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(cancelled(signal))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/** The promises that the native part settles, by token. */
export class Waits {
  readonly #native: Pick<NativeClient, 'cancel'>
  readonly #changed: () => void
  readonly #pending = new Map<number, Pending>()
  #last = 0

  /** `changed` is called when the first promise is made and when the last is settled. */
  constructor(native: Pick<NativeClient, 'cancel'>, changed: () => void) {
    this.#native = native
    this.#changed = changed
  }

  get size(): number {
    return this.#pending.size
  }

  /** A promise that `start` has settled later, by the token it is given. */
  wait<T>(
    start: (token: number) => void,
    options?: { signal?: AbortSignal | undefined; bare?: boolean; aborted?: () => void },
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const signal = options?.signal
      if (signal?.aborted) {
        reject(cancelled(signal))
        return
      }
      this.#last += 1
      const token = this.#last
      const bare = options?.bare ?? true
      const pending: Pending = {
        resolve: resolve as (value: unknown) => void,
        reject,
        bare,
        signal,
        onAbort: undefined,
      }
      if (signal) {
        pending.onAbort = () => {
          this.#native.cancel(token)
          this.reject(token, cancelled(signal))
          options?.aborted?.()
        }
      }
      start(token)
      if (pending.onAbort) signal?.addEventListener('abort', pending.onAbort, { once: true })
      this.#pending.set(token, pending)
      if (this.#pending.size === 1) this.#changed()
    })
  }

  #take(token: number): Pending | undefined {
    const pending = this.#pending.get(token)
    if (pending === undefined) return undefined
    this.#pending.delete(token)
    if (pending.onAbort) pending.signal?.removeEventListener('abort', pending.onAbort)
    if (this.#pending.size === 0) this.#changed()
    return pending
  }

  acked(token: number): void {
    this.#take(token)?.resolve(NOTHING)
  }

  /** One value: in an array, as EventEmitter2's users know it, unless it was asked for bare. */
  resolve(token: number, ...values: unknown[]): void {
    const pending = this.#take(token)
    pending?.resolve(pending.bare ? values[0] : values)
  }

  reject(token: number, error: unknown): void {
    this.#take(token)?.reject(error)
  }
}

/** The messages that were published in one turn of the program: the native part forgets them together. */
export interface Lease {
  readonly native: NativeClient
  readonly from: number
  to: number
}

export class Leased {
  readonly lease: Lease
  constructor(lease: Lease) {
    this.lease = lease
  }
}

/** Tells the native part when no `WaitFor` of a lease is left. */
export const leases = new FinalizationRegistry<Lease>(({ native, from, to }) => native.release(from, to))

/**
 * A message on its way: wait for the gateway's ack, for a peer's reply, or for both.
 *
 * Its answers are kept from before it is written, so none is missed, however late you ask.
 */
export class WaitFor {
  readonly #native: NativeClient
  readonly #waits: Waits
  readonly #receipt: number
  /** While this is held, the native part keeps the answers. */
  readonly #leased: Leased

  /** @internal */
  constructor(native: NativeClient, waits: Waits, receipt: number, leased: Leased) {
    this.#native = native
    this.#waits = waits
    this.#receipt = receipt
    this.#leased = leased
  }

  /** The message's id. */
  get id(): string {
    return this.#native.messageId(this.#receipt) ?? ''
  }

  /** Waits for the gateway's ack. */
  waitForAck(options?: number | WaitOptions): Promise<[]> {
    const timeout = timeoutOf(options)
    return this.#waits.wait(token => this.#check(this.#native.waitAck(this.#receipt, token, timeout)), {
      signal: signalOf(options),
    })
  }

  /** Waits for a reply, and gives it in an array. Where several reply, each call gives the next. */
  waitForReply<T = any>(options?: number | WaitOptions): Promise<[response: ResponseMessage<T>]> {
    return this.#reply(options, false)
  }

  /** Waits for a reply. Where several reply, each call gives the next. */
  reply<T = any>(options?: number | WaitOptions): Promise<ResponseMessage<T>> {
    return this.#reply(options, true)
  }

  #reply<R>(options: number | WaitOptions | undefined, bare: boolean): Promise<R> {
    const timeout = timeoutOf(options)
    return this.#waits.wait(token => this.#check(this.#native.waitReply(this.#receipt, token, timeout)), {
      signal: signalOf(options),
      bare,
    })
  }

  /** All replies, until the time is up. It ends with an error when the connection is lost or the client disconnected. */
  async *replies<T = any>(options?: number | WaitOptions): AsyncGenerator<ResponseMessage<T>, void, undefined> {
    const given = timeoutOf(options)
    const until = performance.now() + (given < 0 ? DEFAULT_REPLIES : given)
    const signal = signalOf(options)
    for (;;) {
      const timeout = until - performance.now()
      if (timeout <= 0) return
      try {
        yield await this.reply<T>({ timeout, ...(signal && { signal }) })
      } catch (error) {
        if (error instanceof TimeoutError) return
        throw error
      }
    }
  }

  #check(kept: boolean): void {
    if (kept) return
    // Naming the lease keeps it alive until here.
    const { from, to } = this.#leased.lease
    const number = this.#receipt - from + 1
    throw new RealtimeError(
      'CANCELLED',
      `the answers to this message (${number} of ${to - from}) are not kept any more: ` +
        'more than 65,536 messages were published since; ask for the ack or the reply before',
    )
  }
}

/** How long `replies` collects by default, milliseconds. */
const DEFAULT_REPLIES = 5000
