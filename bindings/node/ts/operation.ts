import type { RealtimeClient } from './client.js'
import type { EventMap } from './events.js'

type Chained =
  | 'subscribeRemoteTopic'
  | 'unsubscribeRemoteTopic'
  | 'publish'
  | 'send'
  | 'on'
  | 'once'
  | 'off'
  | 'waitFor'
  | 'wait'
  | 'connect'
  | 'disconnect'

/**
 * Something that has been begun: await it for its end, or chain the next call to the client, as with clients that do
 * not wait. A failure that nobody awaits is reported as an `error` event.
 */
export interface Operation<Events extends EventMap = Record<string, any>>
  extends Promise<void>,
    Pick<RealtimeClient<Events>, Chained> {}

class Begun<Events extends EventMap> implements Promise<void> {
  readonly [Symbol.toStringTag] = 'Operation'
  readonly #client: RealtimeClient<Events>
  readonly #promise: Promise<void>
  #awaited = false

  constructor(client: RealtimeClient<Events>, promise: Promise<void>, report: (error: unknown) => void) {
    this.#client = client
    this.#promise = promise
    promise.catch(error => {
      // An `await` of this takes another turn of the microtasks.
      setImmediate(() => this.#awaited || report(error))
    })
  }

  // biome-ignore lint/suspicious/noThenProperty: it is a promise.
  then<A = void, B = never>(
    fulfilled?: ((value: void) => A | PromiseLike<A>) | null,
    rejected?: ((reason: any) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#awaited = true
    return this.#promise.then(fulfilled, rejected)
  }

  catch<B = never>(rejected?: ((reason: any) => B | PromiseLike<B>) | null): Promise<void | B> {
    return this.then(undefined, rejected)
  }

  finally(settled?: (() => void) | null): Promise<void> {
    this.#awaited = true
    return this.#promise.finally(settled)
  }

  /** @internal */
  get client(): RealtimeClient<Events> {
    return this.#client
  }
}

const CHAINED: readonly Chained[] = [
  'subscribeRemoteTopic',
  'unsubscribeRemoteTopic',
  'publish',
  'send',
  'on',
  'once',
  'off',
  'waitFor',
  'wait',
  'connect',
  'disconnect',
]

for (const name of CHAINED) {
  Object.defineProperty(Begun.prototype, name, {
    value(this: Begun<EventMap>, ...args: unknown[]): unknown {
      return Reflect.apply(this.client[name] as (...args: unknown[]) => unknown, this.client, args)
    },
  })
}

/** @internal */
export function operation<Events extends EventMap>(
  client: RealtimeClient<Events>,
  promise: Promise<void>,
  report: (error: unknown) => void,
): Operation<Events> {
  return new Begun(client, promise, report) as unknown as Operation<Events>
}
