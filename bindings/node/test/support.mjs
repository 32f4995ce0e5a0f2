// What the suites share: a gateway and clients that are gone when a test is over.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LocalGateway, RealtimeClient } from 'realtime-pubsub'

/** Short pauses, so that reconnects take no time. */
export const QUICK = { minReconnectDelay: 10, maxReconnectDelay: 50 }

/** A gateway, and clients for it. */
export async function world(t, options) {
  const gateway = await LocalGateway.start({ drain: 200, ...options })
  const clients = []
  t.after(async () => {
    await Promise.all(clients.map(client => client.disconnect({ timeout: 200 })))
    await gateway.stop()
  })
  /** A client that is not connected. */
  const idle = (subject = 'alice', options) => {
    const client = new RealtimeClient({ url: gateway.urlWithToken(subject), ...QUICK, ...options })
    clients.push(client)
    return client
  }
  /** A client in a session. */
  const client = async (subject, options) => {
    const made = idle(subject, options)
    await made.connect()
    return made
  }
  return { gateway, idle, client }
}

/** Collects what an event brings, and waits for so many. */
export function collect(client, event, pick = value => value) {
  const got = []
  let wanted
  client.on(event, (...args) => {
    got.push(pick(...args))
    if (wanted && got.length >= wanted.count) wanted.resolve(got)
  })
  const until = count =>
    new Promise(resolve => {
      if (got.length >= count) resolve(got)
      else wanted = { count, resolve }
    })
  // Not enumerable, so that what was collected compares with plain arrays.
  return Object.defineProperty(got, 'until', { value: until })
}

const here = dirname(fileURLToPath(import.meta.url))

/** Runs a program in a process of its own; it sees the package as the suites do. */
export async function program(
  t,
  source,
  { args = [], name = 'program.mjs', execArgv = [], timeout = 60_000, onMessage } = {},
) {
  const folder = mkdtempSync(join(here, 'program-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, name)
  writeFileSync(path, source)
  const child = fork(path, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], execArgv })
  let output = ''
  let errors = ''
  child.stdout.on('data', data => (output += data))
  child.stderr.on('data', data => (errors += data))
  const timer = setTimeout(() => child.kill('SIGKILL'), timeout)
  const messages = []
  child.on('message', message => {
    messages.push(message)
    onMessage?.(message, child)
  })
  const [code, signal] = await once(child, 'close')
  clearTimeout(timer)
  return { code, signal, output, errors, messages }
}

/** A REST call to the gateway. */
export function rest(gateway, method, path, body) {
  return fetch(`${gateway.httpUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${gateway.adminToken('admin')}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}
