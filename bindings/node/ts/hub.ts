import { addon, type NativeHub } from './native.js'

/** Something that has news in batches. */
export interface Source {
  /** Takes one batch, and says whether there is more. Past the deadline it should leave the rest. */
  drain(deadline: number): boolean
}

/** How long one turn may take: the event loop has others to serve. Milliseconds. */
const SLICE = 8
/** Room for the largest batch that the native part makes. */
const WORDS = 512 * 24

/**
 * Where the native part's one wake-up for this JavaScript environment arrives. It holds its sources weakly, unless they
 * are rooted: a client that nobody holds and that is not connected can be collected.
 */
class Hub {
  readonly native: NativeHub
  /** Where batches are written to. It is free again when a source's `drain` returns. */
  readonly words = new Uint32Array(WORDS)
  readonly #ready = new Uint32Array(256)
  readonly #sources = new Map<number, WeakRef<Source>>()
  readonly #gone = new FinalizationRegistry<number>(number => this.#sources.delete(number))
  readonly #rooted = new Set<object>()
  readonly #holders = new Set<object>()
  readonly #queue = new Set<number>()
  #holding = false
  #continuing = false

  constructor() {
    this.native = new addon.NativeHub(() => this.#turn())
  }

  add(number: number, source: Source): void {
    this.#sources.set(number, new WeakRef(source))
    this.#gone.register(source, number)
  }

  /** Keeps a source from being collected, and the process alive if it is to. */
  root(source: Source, rooted: boolean, hold: boolean): void {
    if (rooted) this.#rooted.add(source)
    else this.#rooted.delete(source)
    if (hold) this.#holders.add(source)
    else this.#holders.delete(source)
    const holding = this.#holders.size > 0
    if (holding === this.#holding) return
    this.#holding = holding
    this.native.hold(holding)
  }

  /** Has a source drained again, which did not take all that there was. */
  again(number: number): void {
    this.#queue.add(number)
    this.#continue()
  }

  #continue(): void {
    if (this.#continuing) return
    this.#continuing = true
    setImmediate(() => {
      this.#continuing = false
      this.#turn()
    })
  }

  #turn(): void {
    const queue = this.#queue
    const ready = this.#ready
    let count: number
    do {
      count = this.native.take(ready)
      for (let index = 0; index < count; index += 1) queue.add(ready[index])
    } while (count === ready.length)
    const deadline = performance.now() + SLICE
    // A batch each, then the others' turn.
    let turns = queue.size
    for (const number of queue) {
      queue.delete(number)
      if (this.#sources.get(number)?.deref()?.drain(deadline)) queue.add(number)
      turns -= 1
      if (turns === 0 || performance.now() > deadline) break
    }
    if (queue.size > 0) this.#continue()
  }
}

export const hub = new Hub()
