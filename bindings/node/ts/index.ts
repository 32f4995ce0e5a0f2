export { type ConnectionInfo, type MessageOptions, RealtimeClient, type RequestOptions, type Stats } from './client.js'
export {
  CancelledError,
  ClosedError,
  ConnectionLostError,
  type ErrorCode,
  type ErrorDetail,
  ForbiddenError,
  HandshakeError,
  InternalError,
  InvalidArgumentError,
  MessageTooLargeError,
  NotConnectedError,
  NotReplyableError,
  ProtocolError,
  QueueFullError,
  RealtimeError,
  TimeoutError,
  UrlProviderError,
} from './errors.js'
export type {
  CloseEvent,
  ControlEvents,
  EventArguments,
  EventListener,
  EventMap,
  EventName,
  Lagged,
  PayloadOf,
  State,
  StateChange,
} from './events.js'
export {
  type ConnectFault,
  Faults,
  type GatewayApp,
  type GatewayConnection,
  type GatewayLimits,
  type GatewayOptions,
  LocalGateway,
  type Target,
  type TokenRequest,
} from './gateway.js'
export {
  IncomingMessage,
  MessageData,
  type PresenceMessage,
  type ReplyFunction,
  type ReplyOptions,
  type ResponseMessage,
  type Sender,
} from './message.js'
export type { Operation } from './operation.js'
export type {
  ClientOptions,
  Logger,
  LogLevel,
  OfflineQueue,
  TlsOptions,
  UrlProvider,
  WebSocketOptions,
} from './options.js'
export type { AnswerOptions, Serving } from './serve.js'
export { MessageStream } from './stream.js'
export { WaitFor, type WaitOptions } from './waits.js'
