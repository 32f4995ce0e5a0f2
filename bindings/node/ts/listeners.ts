import { guarded, InvalidArgumentError } from './errors.js'
import type { NativeClient } from './native.js'

export type Callback = (...args: any[]) => unknown

/** A registered listener. */
export interface Listener {
  readonly id: number
  readonly event: string
  readonly once: boolean
  readonly call: Callback
  /** Until it is taken off. Batches may still name it then. */
  on: boolean
}

/** A client's listeners. Which of them a message is for, the native part says. */
export class Listeners {
  readonly #native: NativeClient
  readonly #byId = new Map<number, Listener>()
  readonly #byEvent = new Map<string, Listener[]>()

  constructor(native: NativeClient) {
    this.#native = native
  }

  add(event: string, call: Callback, once: boolean): void {
    if (typeof event !== 'string') throw new InvalidArgumentError(`an event is a string, not ${typeof event}`)
    if (typeof call !== 'function') throw new InvalidArgumentError(`a listener is a function, not ${typeof call}`)
    const id = guarded(() => this.#native.listen(event, once))
    const listener = { id, event, once, call, on: true }
    this.#byId.set(id, listener)
    const others = this.#byEvent.get(event)
    if (others) others.push(listener)
    else this.#byEvent.set(event, [listener])
  }

  get(id: number): Listener | undefined {
    return this.#byId.get(id)
  }

  of(event: string): readonly Listener[] {
    return this.#byEvent.get(event) ?? []
  }

  events(): string[] {
    return [...this.#byEvent.keys()]
  }

  /** Takes off the listener that was added last of those that are this function, as an EventEmitter does. */
  remove(event: string, call: Callback): void {
    const listener = this.of(event).findLast(listener => listener.call === call)
    if (listener) this.drop(listener)
  }

  removeAll(event?: string): void {
    const all = event === undefined ? [...this.#byId.values()] : [...this.of(event)]
    for (const listener of all) this.drop(listener)
  }

  drop(listener: Listener): void {
    listener.on = false
    this.#byId.delete(listener.id)
    const left = this.of(listener.event).filter(other => other !== listener)
    if (left.length > 0) this.#byEvent.set(listener.event, left)
    else this.#byEvent.delete(listener.event)
    this.#native.off(listener.id)
  }
}
