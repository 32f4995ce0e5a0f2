/** What went wrong, as a name. The same in every language of this SDK. */
export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'INVALID_HANDLE'
  | 'NOT_CONNECTED'
  | 'TIMEOUT'
  | 'CLOSED'
  | 'CONNECTION_LOST'
  | 'QUEUE_FULL'
  | 'MESSAGE_TOO_LARGE'
  | 'FORBIDDEN'
  | 'HANDSHAKE_FAILED'
  | 'URL_PROVIDER_FAILED'
  | 'PROTOCOL_VIOLATION'
  | 'CANCELLED'
  | 'WOULD_DEADLOCK'
  | 'INTERNAL'
  | 'NOT_REPLYABLE'

/** More about an error. */
export interface ErrorDetail {
  /** What caused it: a URL provider's own error, an `AbortSignal`'s reason. */
  cause?: unknown
  /** The topic that is forbidden. */
  topic?: string
}

/** Any error of this package. `code` is for programs, `message` says what happened, to what, and what to do. */
export class RealtimeError extends Error {
  /** The error's name, such as `NOT_CONNECTED`. */
  readonly code: ErrorCode
  /** The error's number, the same in every language of this SDK and never reused. */
  readonly number: number
  /** The topic that is forbidden, for `FORBIDDEN`. */
  declare readonly topic?: string

  constructor(code: ErrorCode, message: string, detail?: ErrorDetail) {
    super(message, detail?.cause === undefined ? undefined : { cause: detail.cause })
    this.code = code
    this.number = -1 - CODES.indexOf(code)
    if (detail?.topic !== undefined) this.topic = detail.topic
  }

  override get name(): string {
    return this.constructor.name
  }
}

/** In the order of their numbers, from -1 down. */
const CODES: readonly ErrorCode[] = [
  'INVALID_ARGUMENT',
  'INVALID_HANDLE',
  'NOT_CONNECTED',
  'TIMEOUT',
  'CLOSED',
  'CONNECTION_LOST',
  'QUEUE_FULL',
  'MESSAGE_TOO_LARGE',
  'FORBIDDEN',
  'HANDSHAKE_FAILED',
  'URL_PROVIDER_FAILED',
  'PROTOCOL_VIOLATION',
  'CANCELLED',
  'WOULD_DEADLOCK',
  'INTERNAL',
  'NOT_REPLYABLE',
]

type ErrorClass = new (message: string, detail?: ErrorDetail) => RealtimeError

/** An argument makes no sense: a bad URL, an empty topic, a bad pattern, a payload that can't be JSON. */
export class InvalidArgumentError extends RealtimeError {
  constructor(message: string, detail?: ErrorDetail) {
    super('INVALID_ARGUMENT', message, detail)
  }
}

/** There is no session, and the client does not queue while offline. */
export class NotConnectedError extends RealtimeError {
  constructor(message: string, detail?: ErrorDetail) {
    super('NOT_CONNECTED', message, detail)
  }
}

/** What was waited for did not come in time. */
export class TimeoutError extends RealtimeError {
  constructor(message: string, detail?: ErrorDetail) {
    super('TIMEOUT', message, detail)
  }
}

/** The client was disconnected. */
export class ClosedError extends RealtimeError {
  constructor(message: string, detail?: ErrorDetail) {
    super('CLOSED', message, detail)
  }
}

/** The connection died before the answer came. */
export class ConnectionLostError extends RealtimeError {
  constructor(message: string, detail?: ErrorDetail) {
    super('CONNECTION_LOST', message, detail)
  }
}

/** A queue is full. */
export class QueueFullError extends RealtimeError {
  constructor(message: string, detail?: ErrorDetail) {
    super('QUEUE_FULL', message, detail)
  }
}

/** A message is larger than the limit. */
export class MessageTooLargeError extends RealtimeError {
  constructor(message: string, detail?: ErrorDetail) {
    super('MESSAGE_TOO_LARGE', message, detail)
  }
}

/** The gateway does not let this token do that. */
export class ForbiddenError extends RealtimeError {
  constructor(message: string, detail?: ErrorDetail) {
    super('FORBIDDEN', message, detail)
  }
}

/** The connection could not be made: dial, TLS, upgrade or welcome failed. */
export class HandshakeError extends RealtimeError {
  constructor(message: string, detail?: ErrorDetail) {
    super('HANDSHAKE_FAILED', message, detail)
  }
}

/** The URL provider failed. Its own error is the `cause`. */
export class UrlProviderError extends RealtimeError {
  constructor(message: string, detail?: ErrorDetail) {
    super('URL_PROVIDER_FAILED', message, detail)
  }
}

/** The gateway sent what the protocol does not allow. */
export class ProtocolError extends RealtimeError {
  constructor(message: string, detail?: ErrorDetail) {
    super('PROTOCOL_VIOLATION', message, detail)
  }
}

/** The wait was cancelled, by an `AbortSignal`, whose reason is the `cause`. */
export class CancelledError extends RealtimeError {
  constructor(message: string, detail?: ErrorDetail) {
    super('CANCELLED', message, detail)
  }
}

/** A bug, or an error in a listener, which is the `cause`. */
export class InternalError extends RealtimeError {
  constructor(message: string, detail?: ErrorDetail) {
    super('INTERNAL', message, detail)
  }
}

/** The message came over REST, or has no id, and can't be replied to. */
export class NotReplyableError extends RealtimeError {
  constructor(message: string, detail?: ErrorDetail) {
    super('NOT_REPLYABLE', message, detail)
  }
}

const CLASSES: Partial<Record<ErrorCode, ErrorClass>> = {
  INVALID_ARGUMENT: InvalidArgumentError,
  NOT_CONNECTED: NotConnectedError,
  TIMEOUT: TimeoutError,
  CLOSED: ClosedError,
  CONNECTION_LOST: ConnectionLostError,
  QUEUE_FULL: QueueFullError,
  MESSAGE_TOO_LARGE: MessageTooLargeError,
  FORBIDDEN: ForbiddenError,
  HANDSHAKE_FAILED: HandshakeError,
  URL_PROVIDER_FAILED: UrlProviderError,
  PROTOCOL_VIOLATION: ProtocolError,
  CANCELLED: CancelledError,
  INTERNAL: InternalError,
  NOT_REPLYABLE: NotReplyableError,
}

/** An error as the native part tells of it. @internal */
export interface Fault {
  number: number
  message: string
  topic?: string | null
}

/** @internal */
export function errorOf(fault: Fault, cause?: unknown): RealtimeError {
  const code = CODES[-1 - fault.number] ?? 'INTERNAL'
  const detail: ErrorDetail = { cause }
  if (fault.topic != null) detail.topic = fault.topic
  const made = CLASSES[code]
  return made ? new made(fault.message, detail) : new RealtimeError(code, fault.message, detail)
}

/** Calls the native part, and makes what it throws an error of this package. @internal */
export function guarded<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    const number = -1 - CODES.indexOf(code as ErrorCode)
    throw errorOf({ number, message })
  }
}
