import type { ConnectionInfo } from './client.js'
import type { RealtimeError } from './errors.js'
import type { IncomingMessage, ReplyFunction } from './message.js'

/** Where a client stands. */
export type State = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'closed' | 'failed'

/** A change of state. */
export interface StateChange {
  readonly from: State
  readonly to: State
  readonly reason: string
}

/** The end of a connection. */
export interface CloseEvent {
  /** The close code: the peer's, 1000 after `disconnect`, 1006 if the connection broke. */
  readonly code: number
  /** The peer's reason, or what broke. */
  readonly reason: string
  /** Whether the client will connect again by itself. */
  readonly willReconnect: boolean
}

/** Messages were dropped because the inbox was full. */
export interface Lagged {
  /** How many since the last such event. */
  readonly dropped: number
}

/** The events that the client makes itself, with their arguments. No message can raise them. */
export interface ControlEvents {
  /** A session has begun and the topics are subscribed. */
  'session.started': [info: ConnectionInfo]
  /** Something went wrong that no call could return. */
  error: [error: RealtimeError]
  /** A connection has ended. */
  close: [event: CloseEvent]
  /** The state has changed. */
  state: [change: StateChange]
  /** Messages were dropped. */
  lagged: [lagged: Lagged]
}

/** Names of message events, `<topic>.<messageType>`, and the types of their payloads. */
// biome-ignore lint/complexity/noBannedTypes: any object type may be given.
export type EventMap = {}

/** What `on` and its like take: the map's names, control events, and patterns with `*`. Without a map any name. */
export type EventName<Events> = string extends keyof Events
  ? string
  : (keyof Events & string) | keyof ControlEvents | `${string}*${string}`

/** The payload of an event; of all that a pattern may match. */
export type PayloadOf<Events, Name> = string extends keyof Events
  ? any
  : Name extends keyof Events
    ? Events[Name]
    : Events[keyof Events]

/** What a listener is called with. */
export type EventArguments<Events, Name> = Name extends keyof ControlEvents
  ? ControlEvents[Name]
  : [message: IncomingMessage<PayloadOf<Events, Name>>, reply: ReplyFunction]

/** A listener. The next is called when the promise that it may return is settled; where that is rejected, an `error` event tells. */
export type EventListener<Events, Name> = (...args: EventArguments<Events, Name>) => unknown
