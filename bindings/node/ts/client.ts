import { type ControlName, Reader, type Visitor } from './batch.js'
import { errorOf, type Fault, guarded, InternalError, InvalidArgumentError, RealtimeError } from './errors.js'
import type { EventArguments, EventListener, EventMap, EventName, PayloadOf, State, StateChange } from './events.js'
import { hub, type Source } from './hub.js'
import { isPlain, stringify } from './json.js'
import { type Callback, type Listener, Listeners } from './listeners.js'
import type { IncomingMessage, ReplyFunction, ResponseMessage } from './message.js'
import { addon, type NativeClient } from './native.js'
import { type Operation, operation } from './operation.js'
import { type ClientOptions, type Logger, nativeOptions, type UrlProvider } from './options.js'
import { type AnswerOptions, Server, type Serving } from './serve.js'
import { MessageStream } from './stream.js'
import { Leased, leases, signalOf, timeoutOf, WaitFor, type WaitOptions, Waits } from './waits.js'

/** A connection, as the gateway introduced it. */
export interface ConnectionInfo {
  readonly id: string
  readonly appId: string
  readonly remoteAddress: string
}

/** How a message is to be published or sent. */
export interface MessageOptions {
  /** Listeners match `<topic>.<messageType>`. Default: the gateway's, `broadcast`. */
  messageType?: string
  /** Whether receivers get it as a binary frame, which the wire may compress. Default: no. */
  compress?: boolean
  /** Default: 16 random bytes in hexadecimal. */
  id?: string
}

/** A message and the wait for its reply. */
export interface RequestOptions extends MessageOptions, WaitOptions {}

/** What a client has done since it was made, and what it holds now. */
export interface Stats {
  readonly sessions: number
  readonly failedAttempts: number
  readonly messagesSent: number
  readonly bytesSent: number
  readonly messagesReceived: number
  readonly bytesReceived: number
  readonly acks: number
  readonly replies: number
  /** Messages that no listener wanted. */
  readonly unmatched: number
  /** Messages dropped because the inbox was full. */
  readonly dropped: number
  /** Messages dropped because they repeat another. */
  readonly duplicates: number
  /** Frames that could not be understood. */
  readonly unreadable: number
  /** Publishes that were queued or unacknowledged when they were given up. */
  readonly lost: number
  readonly outboxMessages: number
  readonly outboxBytes: number
  /** Deliveries that wait for the listeners. */
  readonly inboxLen: number
  /** Messages whose ack or replies can still be asked for. */
  readonly receipts: number
  /** Waits that are going on. */
  readonly waits: number
}

/** So many messages are forgotten together. */
const MOST_LEASED = 256
/** So many topics and types are remembered. */
const MOST_ROUTES = 1024
const ACTIVE: ReadonlySet<string> = new Set<State>(['connecting', 'connected', 'reconnecting'])
const LEVELS = ['error', 'error', 'warn', 'info', 'debug', 'debug'] as const

/**
 * A client of Realtime Pub/Sub. `Events` names message events, `<topic>.<messageType>`, with the types of their
 * payloads.
 *
 * While it is connected or connecting it keeps the process alive, see `unref`.
 */
export class RealtimeClient<Events extends EventMap = Record<string, any>> {
  readonly #native: NativeClient
  readonly #listeners: Listeners
  readonly #waits: Waits
  readonly #reader: Reader
  readonly #logger: Logger | undefined
  readonly #bigint: boolean
  readonly #urlProvider: UrlProvider | undefined
  readonly #streams = new Set<MessageStream>()
  /** A listener is being awaited: calls that come meanwhile wait their turn here. */
  #awaiting = false
  #deferred: [listener: Listener, args: unknown[]][] = []
  readonly #source: Source
  /** Numbers of topics and types, apart for those to be compressed. */
  readonly #routes = [new Map<string | null, Map<string, number>>(), new Map<string | null, Map<string, number>>()]
  #routeCount = 0
  #leased: Leased | undefined
  #kicking = false
  #starting = false
  #active = false
  #rooted = false
  #held = false
  #refed = true
  #providerError: unknown

  constructor(options: ClientOptions) {
    const { native, urlProvider } = nativeOptions(options)
    this.#native = guarded(() => new addon.NativeClient(hub.native, native))
    this.#logger = options.logger
    this.#bigint = options.bigint === true
    this.#urlProvider = urlProvider
    this.#listeners = new Listeners(this.#native)
    this.#waits = new Waits(this.#native, () => this.#hold())
    this.#reader = new Reader(this.#native, hub.words, this.#visitor())
    this.#source = { drain: deadline => this.#drain(deadline) }
    // The state decides over the process's life.
    this.#native.listen('state', false)
    hub.add(this.#native.source(), this.#source)
  }

  // ---- connecting

  /** Where the client stands. */
  get state(): State {
    return this.#native.state() as State
  }

  /** The present session's connection. */
  get connection(): ConnectionInfo | undefined {
    const info = this.#native.connection()
    return info ? { id: info[0], appId: info[1], remoteAddress: info[2] } : undefined
  }

  /**
   * Connects, and resolves once the session has started: the welcome came, and the topics are subscribed. Keeps the
   * client connected from then on. In a running session it resolves at once. After `timeout` (30 s) it fails with the
   * last cause. An aborted signal ends the attempt, unless another `connect` or a `start` wants it too.
   */
  connect(options?: number | WaitOptions): Promise<ConnectionInfo> {
    const timeout = timeoutOf(options)
    const connecting = this.#waits.wait<ConnectionInfo>(token => this.#native.connect(token, timeout), {
      signal: signalOf(options),
    })
    this.#hold()
    return connecting
  }

  /** Begins to connect, and goes on for as long as it takes; see the `session.started` and `error` events. */
  start(): this {
    guarded(() => this.#native.start())
    // What has not been heard of yet may have happened already.
    if (!this.#active || !ACTIVE.has(this.state)) this.#starting = true
    this.#hold()
    return this
  }

  /**
   * Writes what is queued, closes the connection, and ends all waits with `CLOSED`. The client can connect again. Safe
   * at any time, also from a listener. It takes `timeout` at most; an aborted signal ends the waiting, not the closing.
   */
  disconnect(options?: WaitOptions): Operation<Events> {
    return this.#operation(this.#stop(options))
  }

  #stop(options?: WaitOptions): Promise<void> {
    const timeout = timeoutOf(options)
    const start = (token: number): void => {
      this.#starting = false
      this.#native.disconnect(token, timeout)
    }
    return this.#waits.wait(start, { signal: options?.signal })
  }

  /** Like `disconnect`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop()
  }

  /** Lets the process end while the client is connected. */
  unref(): this {
    this.#refed = false
    this.#hold()
    return this
  }

  /** Keeps the process alive while the client is connected, which is how it begins. */
  ref(): this {
    this.#refed = true
    this.#hold()
    return this
  }

  // ---- sending

  /**
   * Publishes a message. What is returned can be waited on, for the ack or for replies. Throws where it can't be
   * queued: `NOT_CONNECTED`, `QUEUE_FULL`, `MESSAGE_TOO_LARGE`. Objects are read now: changing them later changes
   * nothing.
   */
  publish(topic: string, payload: unknown, options?: MessageOptions): WaitFor {
    if (typeof topic !== 'string') throw new InvalidArgumentError(`a topic is a string, not ${typeof topic}`)
    return this.#publish(topic, payload, options)
  }

  /** Sends a message to the application: whoever may subscribe to `secure/inbound` gets it. As `publish`. */
  send(payload: unknown, options?: MessageOptions): WaitFor {
    return this.#publish(null, payload, options)
  }

  /** Publishes a message, or with `null` as its topic sends it, and resolves with the first reply. */
  request<T = any>(topic: string | null, payload: unknown, options?: RequestOptions): Promise<ResponseMessage<T>> {
    if (options?.signal?.aborted) return this.#waits.wait(() => {}, { signal: options.signal })
    try {
      return (topic === null ? this.send(payload, options) : this.publish(topic, payload, options)).reply(options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Resolves when all that was published before has reached the gateway. */
  flush(options?: { signal?: AbortSignal }): Promise<void> {
    return this.#waits.wait(token => this.#native.flush(token), { signal: options?.signal })
  }

  #publish(topic: string | null, payload: unknown, options: MessageOptions | undefined): WaitFor {
    const route = this.#route(topic, options?.messageType, options?.compress === true)
    const id = options?.id
    if (typeof payload === 'string' && isPlain(payload)) {
      return this.#queued(this.#native.publish(route, payload, false, id))
    }
    return this.#queued(this.#native.publish(route, stringify(payload, this.#bigint), true, id))
  }

  #route(topic: string | null, messageType: string | undefined, compress: boolean): number {
    const routes = this.#routes[compress ? 1 : 0]
    // No type is not the empty one, and no name has a lone NUL by accident.
    const type = messageType ?? '\0'
    const known = routes.get(topic)?.get(type)
    if (known !== undefined) return known
    if (this.#routeCount >= MOST_ROUTES) {
      for (const table of this.#routes) table.clear()
      this.#native.clearRoutes()
      this.#routeCount = 0
    }
    const route = this.#native.route(topic, messageType, compress)
    this.#routeCount += 1
    const types = routes.get(topic)
    if (types) types.set(type, route)
    else routes.set(topic, new Map([[type, route]]))
    return route
  }

  #reply(connectionId: string, id: string, data: unknown, status: string, compress: boolean): WaitFor {
    const text = stringify(data, this.#bigint)
    return this.#queued(this.#native.reply(connectionId, id, text, String(status), compress))
  }

  #queued(receipt: number): WaitFor {
    if (receipt < 0) throw errorOf(JSON.parse(this.#native.takeError()))
    let leased = this.#leased
    if (leased === undefined || receipt - leased.lease.from >= MOST_LEASED) {
      const lease = { native: this.#native, from: receipt, to: receipt }
      leased = new Leased(lease)
      leases.register(leased, lease)
      this.#leased = leased
    }
    leased.lease.to = receipt + 1
    if (!this.#kicking) {
      this.#kicking = true
      queueMicrotask(this.#kick)
    }
    return new WaitFor(this.#native, this.#waits, receipt, leased)
  }

  /** Once for all that is published in a turn: waking the thread that writes costs more than all the rest. */
  readonly #kick = (): void => {
    this.#kicking = false
    this.#leased = undefined
    this.#native.kick()
  }

  // ---- remote topics

  /**
   * Subscribes to a topic at the gateway, now and after each reconnect, and resolves when the gateway has processed
   * that. Subscribing again is harmless. Fails with `FORBIDDEN` for a topic that the token may not read.
   */
  subscribeRemoteTopic(topic: string, options?: { signal?: AbortSignal }): Operation<Events> {
    return this.#about(topic, token => this.#native.subscribe(token, topic), options?.signal)
  }

  /** Ends a subscription, and resolves when the gateway has processed that. */
  unsubscribeRemoteTopic(topic: string, options?: { signal?: AbortSignal }): Operation<Events> {
    return this.#about(topic, token => this.#native.unsubscribe(token, topic), options?.signal)
  }

  /** The topics that the client subscribes to in each session. */
  subscriptions(): string[] {
    return this.#native.subscriptions()
  }

  #about(topic: string, start: (token: number) => void, signal: AbortSignal | undefined): Operation<Events> {
    if (typeof topic !== 'string') throw new InvalidArgumentError(`a topic is a string, not ${typeof topic}`)
    return this.#operation(this.#waits.wait(start, { signal }))
  }

  #operation(promise: Promise<void>): Operation<Events> {
    return operation(this, promise, error => {
      // The client has reported a forbidden topic itself.
      if (!(error instanceof RealtimeError && error.code === 'FORBIDDEN')) this.#report(error)
    })
  }

  // ---- listening

  /**
   * Calls the listener for every message whose name, `<topic>.<messageType>`, matches: `*` is one segment between dots,
   * `**` any number. Or for every control event of this name. Listeners run one at a time, in the order of arrival.
   */
  on<Name extends EventName<Events>>(event: Name, listener: EventListener<Events, Name>): this {
    this.#listeners.add(event, listener as Callback, false)
    return this
  }

  /** Like `on`, for the first one only. */
  once<Name extends EventName<Events>>(event: Name, listener: EventListener<Events, Name>): this {
    this.#listeners.add(event, listener as Callback, true)
    return this
  }

  /** Takes a listener off. */
  off<Name extends EventName<Events>>(event: Name, listener: EventListener<Events, Name>): this {
    this.#listeners.remove(event, listener as Callback)
    return this
  }

  /** `on`. */
  addListener<Name extends EventName<Events>>(event: Name, listener: EventListener<Events, Name>): this {
    return this.on(event, listener)
  }

  /** `off`. */
  removeListener<Name extends EventName<Events>>(event: Name, listener: EventListener<Events, Name>): this {
    return this.off(event, listener)
  }

  /** Takes off all listeners of an event, or all there are. */
  removeAllListeners(event?: EventName<Events>): this {
    this.#listeners.removeAll(event)
    return this
  }

  /** How many listeners an event has. */
  listenerCount(event: EventName<Events>): number {
    return this.#listeners.of(event).length
  }

  /** The listeners of an event. */
  listeners<Name extends EventName<Events>>(event: Name): EventListener<Events, Name>[] {
    return this.#listeners.of(event).map(listener => listener.call as EventListener<Events, Name>)
  }

  /** The events that have listeners. */
  eventNames(): string[] {
    return this.#listeners.events()
  }

  /**
   * Waits for an event, and resolves with what a listener would be called with. `session.started` in a running session
   * is there at once.
   */
  waitFor<Name extends EventName<Events>>(
    event: Name,
    options?: number | WaitOptions,
  ): Promise<EventArguments<Events, Name>> {
    const timeout = timeoutOf(options)
    const start = (token: number): void => guarded(() => this.#native.waitEvent(event, token, timeout))
    return this.#waits.wait(start, { signal: signalOf(options), bare: false })
  }

  /** All messages that match, for `for await`. It listens from now on; leave the loop, or abort, to end it. */
  messages<Name extends EventName<Events>>(
    event: Name,
    options?: { signal?: AbortSignal },
  ): MessageStream<PayloadOf<Events, Name>> {
    const native = guarded(() => this.#native.messages(hub.native, event))
    const replier = { replyTo: this.#reply.bind(this) }
    const closed = (stream: MessageStream): void => void this.#streams.delete(stream)
    const stream = new MessageStream<PayloadOf<Events, Name>>(native, replier, options?.signal, closed)
    if (!options?.signal?.aborted) this.#streams.add(stream)
    return stream
  }

  /**
   * Answers every message of this topic and type with what the function returns, as a reply with status `ok`, or, where
   * it throws, with the error's message and status `error`. Subscribes to the topic.
   */
  async serve<T = any>(
    topic: string,
    messageType: string,
    answer: (message: IncomingMessage<T>) => unknown,
    options: AnswerOptions = {},
  ): Promise<Serving> {
    const event = `${topic}.${messageType}` as EventName<Events>
    const messages = this.messages(event, options) as MessageStream<T>
    // Every connection is subscribed to these.
    if (topic !== 'main' && !topic.startsWith('priv/')) {
      try {
        await this.subscribeRemoteTopic(topic, options)
      } catch (error) {
        messages.end()
        throw error
      }
    }
    return new Server(messages, answer, options, error => this.#report(error))
  }

  /** Resolves after this many milliseconds. */
  wait(ms: number, options?: { signal?: AbortSignal }): Promise<void> {
    let timer: NodeJS.Timeout
    return this.#waits.wait<void>(token => (timer = setTimeout(() => this.#waits.resolve(token, undefined), ms)), {
      signal: options?.signal,
      aborted: () => clearTimeout(timer),
    })
  }

  /** What the client has done and holds. */
  stats(): Stats {
    return this.#native.stats() as unknown as Stats
  }

  // ---- what comes in

  #drain(deadline: number): boolean {
    const more = this.#reader.drain(deadline, this.#awaiting)
    if (!more) this.#hold()
    return more
  }

  /** Keeps the client from being collected, and the process alive, while there is something to come. */
  #hold(): void {
    const active = this.#active || this.#starting || this.#waits.size > 0
    const held = active && this.#refed
    if (active === this.#rooted && held === this.#held) return
    this.#rooted = active
    this.#held = held
    hub.root(this.#source, active, held)
  }

  #visitor(): Visitor {
    const waits = this.#waits
    return {
      message: (message, listeners) => {
        const reply = replyTo(message)
        for (const listener of listeners) this.#call(listener, message, reply)
      },
      control: (name, detail, listeners) => this.#control(name, detail, listeners),
      acked: token => waits.acked(token),
      replied: (token, reply) => waits.resolve(token, reply),
      failed: (token, fault) => waits.reject(token, this.#errorOf(fault)),
      done: (token, value) => waits.resolve(token, value ?? undefined),
      happened: (token, name, detail) => {
        if (name === undefined) waits.resolve(token, detail, replyTo(detail as IncomingMessage))
        else waits.resolve(token, name === 'error' ? this.#errorOf(detail as Fault) : detail)
      },
      asked: request => void this.#provide(request),
      logged: (level, message) => this.#log(LEVELS[level] ?? 'info', message),
      listener: id => this.#listeners.get(id),
      replyTo: this.#reply.bind(this),
    }
  }

  #control(name: ControlName, detail: unknown, listeners: readonly Listener[]): void {
    const told = name === 'error' ? this.#errorOf(detail as Fault) : detail
    if (name === 'state') {
      const { to } = detail as StateChange
      if (ACTIVE.has(to)) this.#starting = false
      // It may have been started again since.
      this.#active = ACTIVE.has(to) || ACTIVE.has(this.state)
      if (to === 'closed' || to === 'failed') for (const stream of [...this.#streams]) stream.end()
    }
    for (const listener of listeners) this.#call(listener, told)
  }

  /** Listeners run one at a time: after one that returns a promise the others wait for that. */
  #call(listener: Listener, ...args: unknown[]): void {
    if (this.#awaiting) this.#deferred.push([listener, args])
    else this.#run(listener, args)
  }

  #run(listener: Listener, args: unknown[]): void {
    if (!listener.on) return
    // The native part has taken it off already.
    if (listener.once) this.#listeners.drop(listener)
    try {
      const result = listener.call.apply(this, args) as PromiseLike<unknown> | undefined
      if (typeof result?.then !== 'function') return
      this.#awaiting = true
      const done = (): void => this.#proceed()
      result.then(done, error => {
        this.#failed(listener, error)
        done()
      })
    } catch (error) {
      this.#failed(listener, error)
    }
  }

  /** Calls the listeners that waited for one, up to the next that is to be awaited. */
  #proceed(): void {
    this.#awaiting = false
    const deferred = this.#deferred
    let next = 0
    while (next < deferred.length && !this.#awaiting) {
      const [listener, args] = deferred[next]
      next += 1
      this.#run(listener, args)
    }
    // Those that are left come before what was deferred meanwhile, which is behind them.
    deferred.splice(0, next)
    if (!this.#awaiting) hub.again(this.#native.source())
  }

  #failed(listener: Listener, cause: unknown): void {
    const why = cause instanceof Error ? cause.message : String(cause)
    const error = new InternalError(`a listener of ${JSON.stringify(listener.event)} failed: ${why}`, { cause })
    // An `error` listener that fails is not told of its own failure.
    if (listener.event === 'error') this.#log('error', error.message)
    else this.#report(error)
  }

  #report(error: unknown): void {
    const listeners = this.#listeners.of('error')
    if (listeners.length === 0) this.#log('warn', error instanceof Error ? error.message : String(error))
    for (const listener of [...listeners]) this.#call(listener, error)
  }

  #log(level: 'error' | 'warn' | 'info' | 'debug', message: string): void {
    const logger = this.#logger
    if (!logger) return
    try {
      if (level === 'warn') (logger.warn ?? logger.error).call(logger, message)
      else logger[level](message)
    } catch {
      // A logger that fails has nobody to be told.
    }
  }

  #errorOf(fault: Fault): RealtimeError {
    const error = errorOf(fault)
    if (error.code !== 'URL_PROVIDER_FAILED' || this.#providerError === undefined) return error
    return errorOf(fault, this.#providerError)
  }

  async #provide(request: number): Promise<void> {
    try {
      const url: unknown = await this.#urlProvider?.()
      if (typeof url !== 'string') throw new InvalidArgumentError(`a URL is a string, not ${typeof url}`)
      this.#providerError = undefined
      this.#native.provide(request, url)
    } catch (error) {
      this.#providerError = error
      this.#native.provide(request, undefined, error instanceof Error ? error.message : String(error))
    }
  }
}

function replyTo(message: IncomingMessage): ReplyFunction {
  return (data, status, options) => message.reply(data, status, options)
}
