import { InvalidArgumentError } from './errors.js'
import type { NativeOptions } from './native.js'

/** Where the client's logs go. `console` is one. */
export interface Logger {
  error(message: string, ...rest: any[]): void
  info(message: string, ...rest: any[]): void
  debug(message: string, ...rest: any[]): void
  warn?(message: string, ...rest: any[]): void
  log?(message: string, ...rest: any[]): void
}

/** How much is logged: this and what is more important. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace'

/** What waits for the next session while there is none. */
export interface OfflineQueue {
  /** How many messages. Default 1,000. */
  messages?: number
  /** How many bytes. Default 1 MiB. */
  bytes?: number
  /** How long each, in milliseconds; then it is never sent. Default 30 s. */
  ttl?: number
}

/** TLS, for `wss://` URLs. All are PEM texts. */
export interface TlsOptions {
  /** Certificates of authorities to trust besides the system's. */
  ca?: string
  /** Trust only `ca`. */
  onlyOwnCa?: boolean
  /** This client's certificate chain. Needs `key`. */
  cert?: string
  /** This client's private key. Needs `cert`. */
  key?: string
}

/** Gives the URL to connect to, asked at each attempt, because tokens expire. */
export type UrlProvider = () => string | Promise<string>

/** The options of the published client that still mean something, as its documentation shows them. */
export interface WebSocketOptions {
  urlProvider?: UrlProvider
  /** Give up after this many failed attempts in a row. */
  maxRetries?: number
  /** Milliseconds: `minReconnectDelay`. */
  minReconnectionDelay?: number
  /** Milliseconds: `maxReconnectDelay`. */
  maxReconnectionDelay?: number
  /** Milliseconds: `stableAfter`. */
  minUptime?: number
  /** Milliseconds: `handshakeTimeout`. */
  connectionTimeout?: number
  /** How many messages wait while there is no session: `offline`. */
  maxEnqueuedMessages?: number
  [other: string]: unknown
}

/** What a client can be told. All times are milliseconds. */
export interface ClientOptions {
  /** `ws(s)://host/apps/ID?access_token=TOKEN`. For tokens that expire use `urlProvider`. */
  url?: string
  /** Gives the URL, asked at each attempt to connect. */
  urlProvider?: UrlProvider
  /** As the published client has them. */
  websocketOptions?: WebSocketOptions
  /** Where the logs go. Default: nowhere. */
  logger?: Logger
  /** How much is logged. Default `info`. */
  logLevel?: LogLevel
  /** Read integers beyond 2^53 as BigInts, and send BigInts as numbers. Default: no. */
  bigint?: boolean
  /** How long `connect` tries. Default 30 s. */
  connectTimeout?: number
  /** How long the URL provider may take. Default 10 s. */
  providerTimeout?: number
  /** How long dialling, TLS and the upgrade may take together. Default 10 s. */
  handshakeTimeout?: number
  /** How long the welcome may take after the upgrade. Default 10 s. */
  welcomeTimeout?: number
  /** How long waits take by default. Default 5 s. */
  waitTimeout?: number
  /** How long the gateway may take to confirm a subscription or a flush. Default 5 s. */
  barrierTimeout?: number
  /** How long `disconnect` may take to write what is queued and close. Default 5 s. */
  disconnectTimeout?: number
  /** The upper bound of the first pause before connecting again; it doubles. Default 0.5 s. */
  minReconnectDelay?: number
  /** The upper bound of every pause. Default 30 s. */
  maxReconnectDelay?: number
  /** How long a session must last for the pauses to begin anew. Default 5 s. */
  stableAfter?: number
  /** Give up after this many failed attempts in a row. Default: never. */
  maxRetries?: number
  /** Give up when the gateway closes with one of these codes. Default: none. */
  stopOnCloseCodes?: number[]
  /** Ping after this long without a frame. Default 15 s. */
  pingAfter?: number
  /** Take the connection for dead this long after such a ping. Default 10 s. */
  pongTimeout?: number
  /** What becomes of a publish without a session: it fails, or waits for the next. Default `fail`. */
  offline?: 'fail' | 'queue' | OfflineQueue
  /** At least once: write an unacknowledged publish again after a reconnect, under the same id. Default: no. */
  retry?: boolean
  /** How long `retry` keeps an unacknowledged publish. Default 60 s. */
  retryFor?: number
  /** Drop messages that repeat one of the last so many (`true`: 10,000). Default: no. */
  dedupe?: boolean | number
  /** What happens when the inbox is full. Default `block`: stop reading, so that TCP pushes back. */
  overflow?: 'block' | 'drop-oldest' | 'drop-newest'
  /** How many messages the inbox holds. Default 65,536. */
  inboxMessages?: number
  /** How many bytes of messages the inbox holds. Default 64 MiB. */
  inboxBytes?: number
  /** How many messages may wait to be written. Default 65,536. */
  outboxMessages?: number
  /** How many bytes may wait to be written. Default 16 MiB. */
  outboxBytes?: number
  /** The largest message, each way, in bytes. Default 1 MiB. */
  maxMessageSize?: number
  /** Headers for the handshake. */
  headers?: Record<string, string>
  /** An HTTP proxy: `http://[user:password@]host:port`. */
  proxy?: string
  /** TLS, for `wss://` URLs. */
  tls?: TlsOptions
  /** The published client's; taken, and without effect: `*` and `**` always work. */
  emitterOptions?: unknown
}

/** How many messages `dedupe: true` remembers. */
const REMEMBERED = 10_000

/** Options as the native part takes them. They are copied: changing them later changes nothing. */
export function nativeOptions(options: ClientOptions): { native: NativeOptions; urlProvider: UrlProvider | undefined } {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError('a client needs options: at least a url or a urlProvider')
  }
  const { websocketOptions: familiar = {}, tls = {}, offline, dedupe, headers, bigint, logger, ...rest } = options
  if (familiar.messageDeserializer !== undefined) {
    throw new InvalidArgumentError('there is no messageDeserializer: messages are read by the client itself')
  }
  const urlProvider = options.urlProvider ?? familiar.urlProvider
  if (urlProvider !== undefined && typeof urlProvider !== 'function') {
    throw new InvalidArgumentError(`a urlProvider is a function, not ${typeof urlProvider}`)
  }
  if (options.url === undefined && urlProvider === undefined) {
    throw new InvalidArgumentError('a client needs a url or a urlProvider')
  }
  const queue = typeof offline === 'object' ? offline : {}
  const enqueued = familiar.maxEnqueuedMessages
  const native: NativeOptions = {
    minReconnectDelay: familiar.minReconnectionDelay,
    maxReconnectDelay: familiar.maxReconnectionDelay,
    stableAfter: familiar.minUptime,
    handshakeTimeout: familiar.connectionTimeout,
    maxRetries: familiar.maxRetries,
    ...rest,
    logLevel: logger === undefined ? undefined : (options.logLevel ?? 'info'),
    bigIntegers: bigint,
    offlineQueue: offline === undefined ? enqueued !== undefined && enqueued > 0 : offline !== 'fail',
    offlineMessages: queue.messages ?? (offline === undefined ? enqueued : undefined),
    offlineBytes: queue.bytes,
    offlineTtl: queue.ttl,
    dedupe: dedupe === true ? REMEMBERED : dedupe === false ? undefined : dedupe,
    headers: headers && Object.entries(headers),
    ca: tls.ca,
    onlyOwnCa: tls.onlyOwnCa,
    cert: tls.cert,
    key: tls.key,
  }
  delete native.urlProvider
  delete native.emitterOptions
  return { native, urlProvider }
}
