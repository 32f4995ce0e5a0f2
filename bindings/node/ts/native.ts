import { readFileSync } from 'node:fs'
import { join } from 'node:path'

// What `src/` exports. The package's users never see any of this.

export interface NativeHub {
  take(out: Uint32Array): number
  hold(hold: boolean): void
}

export interface Drained {
  source(): number
  drain(words: Uint32Array, settledOnly?: boolean): string | null
}

export interface NativeClient extends Drained {
  connect(token: number, timeout: number): void
  start(): void
  disconnect(token: number, timeout: number): void
  provide(request: number, url?: string, failure?: string): void
  state(): string
  connection(): [id: string, appId: string, remoteAddress: string] | null
  route(topic: string | null, messageType: string | undefined, compress: boolean): number
  clearRoutes(): void
  publish(route: number, payload: string, json: boolean, id?: string): number
  reply(connection: string, id: string, data: string, status: string, compress: boolean): number
  takeError(): string
  kick(): void
  flush(token: number): void
  messageId(receipt: number): string | null
  waitAck(receipt: number, token: number, timeout: number): boolean
  waitReply(receipt: number, token: number, timeout: number): boolean
  waitEvent(name: string, token: number, timeout: number): void
  cancel(token: number): void
  release(from: number, to: number): void
  subscribe(token: number, topic: string): void
  unsubscribe(token: number, topic: string): void
  subscriptions(): string[]
  listen(name: string, once: boolean): number
  off(listener: number): void
  messages(hub: NativeHub, pattern: string): NativeStream
  stats(): Record<string, number>
  number(): number
}

export interface NativeStream extends Drained {
  close(): void
}

export type NativeOptions = Record<string, unknown>

export interface NativeTokenRequest {
  subject: string
  permissions?: string[]
  expiresIn?: number
  app?: string
}

export interface NativeConnection {
  id: string
  app: string
  subject: string
  remoteAddress: string
}

export interface NativeGateway extends Drained {
  stop(token: number): void
  port(): number
  url(app?: string): string
  httpUrl(): string
  app(): string
  token(request: NativeTokenRequest): string
  adminToken(request: NativeTokenRequest): string
  connections(): NativeConnection[]
  kick(by: string, value: string | undefined, code: number, reason: string): number
  faults(): NativeFaults
}

export interface NativeFaults {
  acks(kind: string, delay?: number): void
  stall(by: string, value?: string): void
  unstall(): void
  swallowPings(swallow: boolean): void
  splitWrites(bytes: number, pause: number): void
  wholeWrites(): void
  onConnect(kind: string, code?: number, count?: number): void
  connectWell(): void
  close(by: string, value: string | undefined, code: number, reason: string): number
  reset(by: string, value?: string): number
  sendText(by: string, value: string | undefined, text: string): number
  sendBinary(by: string, value: string | undefined, bytes: Uint8Array): number
  sendBytes(by: string, value: string | undefined, bytes: Uint8Array): number
  clear(): void
}

interface Addon {
  version(): string
  NativeHub: new (wake: () => void) => NativeHub
  NativeClient: new (hub: NativeHub, options: NativeOptions) => NativeClient
  NativeGateway: { start(hub: NativeHub, options: NativeOptions): NativeGateway }
}

const { version } = require('../package.json') as { version: string }

/** Which of the platform packages is this machine's. */
function platform(): string {
  const { platform, arch } = process
  if (platform === 'win32') return `win32-${arch}-msvc`
  if (platform !== 'linux') return `${platform}-${arch}`
  return `linux-${arch}-${isMusl() ? 'musl' : 'gnu'}`
}

function isMusl(): boolean {
  try {
    return readFileSync('/usr/bin/ldd', 'utf8').includes('musl')
  } catch {
    const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined
    return report?.header !== undefined && report.header.glibcVersionRuntime === undefined
  }
}

function load(): Addon {
  const name = platform()
  const own = process.env.REALTIME_PUBSUB_NATIVE
  const from = own ? join(own) : `@realtime-pubsub/${name}`
  let addon: Addon
  try {
    addon = require(from) as Addon
  } catch (cause) {
    throw new Error(whatIsMissing(name, from, own !== undefined, cause as NodeJS.ErrnoException), { cause })
  }
  if (addon.version() !== version) {
    throw new Error(
      `realtime-pubsub ${version} found version ${addon.version()} of its native part in ${from}: ` +
        `install version ${version} of it, or reinstall realtime-pubsub`,
    )
  }
  return addon
}

function whatIsMissing(name: string, from: string, own: boolean, cause: NodeJS.ErrnoException): string {
  const here = `${name}, Node ${process.version}`
  if (cause.code !== 'MODULE_NOT_FOUND') {
    return `realtime-pubsub can't load its native part for ${here}: ${from} is there, but ${cause.message}`
  }
  if (own) return `realtime-pubsub finds no native part at ${from}, where REALTIME_PUBSUB_NATIVE points (${here})`
  return (
    `realtime-pubsub has no native part for ${here}: the package ${from}@${version} is not installed. ` +
    'It is an optional dependency: install without --omit=optional or --no-optional, and on the same platform ' +
    `that the program runs on, or add it yourself: npm install ${from}@${version}. ` +
    'If there is no such package, this platform is not supported.'
  )
}

export const addon: Addon = load()
