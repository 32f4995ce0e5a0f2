import { Reader, type Visitor } from './batch.js'
import { guarded, InvalidArgumentError } from './errors.js'
import { hub, type Source } from './hub.js'
import { addon, type NativeFaults, type NativeGateway, type NativeTokenRequest } from './native.js'
import { abortable, cancelled, Waits } from './waits.js'

/** One app of a gateway: a namespace of topics and connections with keys of its own. */
export interface GatewayApp {
  /** As in `/apps/{id}`. */
  id: string
  /** Whether publishes are acknowledged. Default: yes. */
  acks?: boolean
  /** What client tokens are signed with (HS256). Default: a fresh secret. */
  secret?: string
  /** What admin tokens are signed with (HS256). Default: a fresh secret. */
  adminSecret?: string
}

/** What one client may use; see the gateway's documentation for what happens beyond. */
export interface GatewayLimits {
  messageBytes?: number
  connectionsPerSubject?: number
  messagesPerSecond?: number
  subscriptionsPerConnection?: number
  topicBytes?: number
  outboundBytes?: number
  /** Milliseconds. */
  handshakeTimeout?: number
  /** Milliseconds. */
  idleTimeout?: number
  /** Milliseconds. */
  closeTimeout?: number
}

/** How a gateway is to run. Default: a free port of 127.0.0.1, one app named `local`, fresh keys, acks on. */
export interface GatewayOptions extends GatewayLimits {
  /** An IP address to listen on. Default 127.0.0.1. */
  host?: string
  /** Default: a free one. */
  port?: number
  /** The only app's id, in place of `apps`. */
  app?: string
  /** Whether the only app acknowledges, in place of `apps`. */
  acks?: boolean
  /** The apps to serve. */
  apps?: GatewayApp[]
  /** Take any token or none, with all permissions; on a loopback address only. */
  insecure?: boolean
  /** Serve TLS: a certificate chain and its private key, PEM texts. */
  tls?: { cert: string; key: string }
  /** How long `stop` waits for clients, in milliseconds. Default 5 s. */
  drain?: number
}

/** What a token is to say. */
export interface TokenRequest {
  subject: string
  /** Default: all. */
  permissions?: string[]
  /** Milliseconds; a negative one makes a token that has expired. Default: an hour. */
  expiresIn?: number
  /** Default: the first app. */
  app?: string
}

/** A connection of a gateway. */
export interface GatewayConnection {
  readonly id: string
  readonly app: string
  readonly subject: string
  readonly remoteAddress: string
}

/** Which connections are meant. */
export type Target = 'all' | { connection: string } | { subject: string }

/** What happens to connections that are made from now on; `code` is an HTTP status or a close code. */
export type ConnectFault =
  | 'half-open'
  | 'close-tcp'
  | 'reset-tcp'
  | 'no-welcome'
  | { kind: 'refuse' | 'close-after-welcome' | 'close-before-welcome'; code: number }

type Aim = [by: string, value: string | undefined]

function aim(target: Target): Aim {
  if (target === 'all') return ['all', undefined]
  if (typeof target === 'object' && target !== null) {
    if ('connection' in target) return ['connection', target.connection]
    if ('subject' in target) return ['subject', target.subject]
  }
  throw new InvalidArgumentError('a target is "all", { connection } or { subject }')
}

/** What a bad network or a bad gateway does, on purpose. */
export class Faults {
  readonly #native: NativeFaults

  /** @internal */
  constructor(native: NativeFaults) {
    this.#native = native
  }

  /** Drops acknowledgements from now on, delays them by so many milliseconds, or stops doing so. */
  acks(fault: 'none' | 'drop' | number): void {
    if (typeof fault === 'number') guarded(() => this.#native.acks('delay', fault))
    else guarded(() => this.#native.acks(fault))
  }

  /** Stops reading from and writing to connections, which stay open. */
  stall(target: Target = 'all'): void {
    this.#native.stall(...aim(target))
  }

  /** Ends all stalls. */
  unstall(): void {
    this.#native.unstall()
  }

  /** Does not answer pings, or does again. */
  swallowPings(swallow = true): void {
    this.#native.swallowPings(swallow)
  }

  /** Writes at most so many bytes at a time, with a pause in milliseconds between. */
  splitWrites(bytes: number, pause: number): void {
    this.#native.splitWrites(bytes, pause)
  }

  /** Writes as usual again. */
  wholeWrites(): void {
    this.#native.wholeWrites()
  }

  /** Has this happen to the next `count` connections, or to all; `null` ends it. */
  onConnect(fault: ConnectFault | null, count?: number): void {
    if (fault === null) this.#native.connectWell()
    else if (typeof fault === 'string') guarded(() => this.#native.onConnect(fault, undefined, count))
    else guarded(() => this.#native.onConnect(fault.kind, fault.code, count))
  }

  /** Closes connections with any code. Says how many there were. */
  close(target: Target, code: number, reason = ''): number {
    return this.#native.close(...aim(target), code, reason)
  }

  /** Resets TCP connections, with no close frame. Says how many there were. */
  reset(target: Target = 'all'): number {
    return this.#native.reset(...aim(target))
  }

  /** Sends a text frame of any content. Says to how many connections. */
  sendText(target: Target, text: string): number {
    return this.#native.sendText(...aim(target), text)
  }

  /** Sends a binary frame of any content. Says to how many connections. */
  sendBinary(target: Target, bytes: Uint8Array): number {
    return this.#native.sendBinary(...aim(target), bytes)
  }

  /** Writes bytes that need not be a frame. Says to how many connections. */
  sendBytes(target: Target, bytes: Uint8Array): number {
    return this.#native.sendBytes(...aim(target), bytes)
  }

  /** Ends all faults. */
  clear(): void {
    this.#native.clear()
  }
}

/** A gateway in this process, for tests and development: it needs no network and no account. */
export class LocalGateway {
  /** Faults, all off. */
  readonly faults: Faults
  readonly #native: NativeGateway
  readonly #reader: Reader
  readonly #waits: Waits
  readonly #source: Source = { drain: deadline => this.#reader.drain(deadline) }
  #running = true
  #refed = true

  private constructor(native: NativeGateway) {
    this.#native = native
    this.faults = new Faults(native.faults())
    this.#waits = new Waits({ cancel: () => {} }, () => this.#hold())
    const visitor = { done: (token: number, value: unknown) => this.#waits.resolve(token, value) }
    this.#reader = new Reader(native, hub.words, visitor as unknown as Visitor)
    hub.add(native.source(), this.#source)
    this.#hold()
  }

  /** Starts one. It serves from when this resolves. */
  static async start(options: GatewayOptions = {}): Promise<LocalGateway> {
    const { app, acks, apps, tls, ...rest } = options
    const own = app === undefined && acks === undefined ? undefined : [{ id: app ?? 'local', acks }]
    const native = { ...rest, apps: apps ?? own, cert: tls?.cert, key: tls?.key }
    return new LocalGateway(guarded(() => addon.NativeGateway.start(hub.native, native)))
  }

  /** The first app's URL, without a token. */
  get url(): string {
    return this.#native.url()
  }

  /** An app's URL, without a token. */
  urlOf(app: string): string {
    return guarded(() => this.#native.url(app))
  }

  /** A URL with a token: all that a client needs. A string is a subject with all permissions. */
  urlWithToken(request: string | TokenRequest = 'local'): string {
    const app = typeof request === 'object' ? request.app : undefined
    return `${app === undefined ? this.url : this.urlOf(app)}?access_token=${this.token(request)}`
  }

  /** The URL that REST paths begin at. */
  get httpUrl(): string {
    return this.#native.httpUrl()
  }

  /** The port it listens on. */
  get port(): number {
    return this.#native.port()
  }

  /** The first app's id. */
  get app(): string {
    return this.#native.app()
  }

  /** Makes a token for clients. */
  token(request: string | TokenRequest = 'local'): string {
    return guarded(() => this.#native.token(tokenRequest(request)))
  }

  /** Makes a token for REST calls. */
  adminToken(request: string | TokenRequest = 'local'): string {
    return guarded(() => this.#native.adminToken(tokenRequest(request)))
  }

  /** The connections of all apps. */
  connections(): GatewayConnection[] {
    return this.#native.connections()
  }

  /** Closes connections after what is queued for them. Says how many there were. */
  kick(target: Target, code = 1000, reason = ''): number {
    return this.#native.kick(...aim(target), code, reason)
  }

  /**
   * Stops: closes all connections with 1001, and resolves when they are gone. An aborted signal ends the waiting, not
   * the stopping.
   */
  async stop(options?: { signal?: AbortSignal }): Promise<void> {
    const signal = options?.signal
    if (signal?.aborted) throw cancelled(signal)
    await abortable(this.#stop(), signal)
  }

  async #stop(): Promise<void> {
    await this.#waits.wait(token => guarded(() => this.#native.stop(token)))
    this.#running = false
    this.#hold()
  }

  /** Lets the process end while the gateway runs. */
  unref(): this {
    this.#refed = false
    this.#hold()
    return this
  }

  /** Keeps the process alive while the gateway runs, which is how it begins. */
  ref(): this {
    this.#refed = true
    this.#hold()
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #hold(): void {
    const active = this.#running || this.#waits.size > 0
    hub.root(this.#source, active, active && this.#refed)
  }
}

function tokenRequest(request: string | TokenRequest): NativeTokenRequest {
  return typeof request === 'string' ? { subject: request } : { ...request }
}
