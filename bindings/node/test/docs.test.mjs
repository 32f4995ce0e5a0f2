// The guide's snippets and the examples are programs that run.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { program, world } from './support.mjs'

const guide = readFileSync(
  join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..', 'README.md'),
  'utf8',
)
const snippets = [...guide.matchAll(/^## (.*?)$|^```js\n(.*?)^```$/gms)]

/** The JavaScript of a section; imports are made once, by whoever runs it. */
function section(name) {
  let current
  const found = []
  for (const [, title, code] of snippets) {
    if (title !== undefined) current = title
    else if (current === name) found.push(code.replaceAll(/^import .*$/gm, ''))
  }
  assert.ok(found.length > 0, `the guide has no code under ${name}`)
  return found
}

const PRELUDE = `
  import { LocalGateway, RealtimeClient, RealtimeError, TimeoutError } from 'realtime-pubsub'
  const url = process.argv[2]
  process.disconnect()
`
const CONNECTED = `
  const client = new RealtimeClient({ url })
  await client.connect()
  for (const topic of ['chat', 'orders', 'poll', 'secure/inbound']) await client.subscribeRemoteTopic(topic)
`

async function runs(t, source) {
  const { gateway } = await world(t)
  const { code, output, errors } = await program(t, PRELUDE + source, { args: [gateway.urlWithToken('reader')] })
  assert.deepEqual([code, errors], [0, ''], output)
  return output
}

test('the quick start runs', async t => {
  const [code] = section('Quick start')
  assert.equal(await runs(t, code), 'received: Hello, World!\nreply: Got it!\n')
})

test('the snippets on listeners run', async t => {
  const [listeners, loop] = section('Listeners')
  const output = await runs(
    t,
    `${CONNECTED}
     const saved = []
     const save = async payload => saved.push(payload)
     ${listeners}
     setTimeout(() => { client.publish('chat', 'hello'); client.publish('chat', 'bye') }, 20)
     ${loop}
     console.log(saved.join())
     await client.disconnect()`,
  )
  // The loop has a queue of its own: it may be ahead of the listener, or behind.
  const lines = output.trimEnd().split('\n')
  assert.deepEqual(
    [lines.filter(line => line !== 'hello,bye')[0], lines.includes('hello,bye')],
    ['broadcast hello', true],
  )
})

test('the snippets on waits run', async t => {
  const [waits, aborts] = section('Waits')
  const output = await runs(
    t,
    `${CONNECTED}
     client.on('orders.create', (message, reply) => { reply(message.data.payload.item, 'created') })
     client.on('poll.*', (message, reply) => { reply('yes') })
     ${waits.replace('replies(100)', 'replies(2000)')} ${aborts}
     await client.disconnect()`,
  )
  assert.match(output, /^created 5\nyes\n3\n[0-9a-f]{32}\nTIMEOUT\n$/)
})

test('the snippet on errors runs', async t => {
  const [code] = section('Errors')
  assert.equal(await runs(t, `${CONNECTED} ${code} await client.disconnect()`), 'nobody there\n')
})

test('the snippet on reconnects runs', async t => {
  const [code] = section('Reconnects')
  assert.equal(await runs(t, code), '1000 disconnected false\n')
})

test('the snippet on the gateway runs', async t => {
  const [code] = section('Testing with the gateway')
  assert.equal(await runs(t, code), 'true 1\n1006\n')
})

const examples = join(process.cwd(), 'examples')

/** Runs an example; `until` is a line after which it is interrupted. */
async function example(name, { url, args = [], until } = {}) {
  const path = join(examples, `${name}.mjs`)
  assert.ok(existsSync(path), path)
  const env = { ...process.env, ...(url && { REALTIME_URL: url }) }
  const child = fork(path, args, { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  let output = ''
  let errors = ''
  child.stderr.on('data', data => (errors += data))
  const said = new Promise(resolve => {
    child.stdout.on('data', data => {
      output += data
      if (until && output.includes(until)) resolve()
    })
  })
  const closed = once(child, 'close')
  const result = async () => {
    const [code] = await closed
    assert.equal(code, 0, errors)
    return output
  }
  if (!until) return result()
  await Promise.race([said, closed])
  const stop = () => {
    child.kill('SIGINT')
    return result()
  }
  return { stop, output: () => output }
}

test('examples that stand alone run', async () => {
  assert.match(await example('basic'), /received: Hello, World!\nacknowledged\nreply: ok Got it!\nclosed: 1000/)
  // A stream has a queue of its own: which of the two is told first is open.
  const wildcard = await example('wildcard')
  assert.match(wildcard, /any type: reaction[\s\S]*any sensor: sensors.kitchen 21.5/)
  assert.match(wildcard, /in a loop: 21.5[\s\S]*in a loop: 22/)
  assert.match(await example('rpc-client'), /22 \/ 7: ok 3\.14\d+\n1 \/ 0: error division by zero/)
  assert.match(await example('pub'), /acknowledged/)
  assert.match(await example('ping', { args: ['100'] }), /100 round trips: p50 \d+ us/)
})

test('examples that belong together run together', async t => {
  const { gateway } = await world(t)
  const url = gateway.urlWithToken('example')
  const server = await example('rpc-server', { url, until: 'serving' })
  assert.match(await example('rpc-client', { url }), /22 \/ 7: ok 3\.14/)
  await server.stop()
  const pong = await example('pong', { url, until: 'waiting' })
  assert.match(await example('ping', { url, args: ['50'] }), /50 round trips/)
  await pong.stop()
  const sub = await example('sub', { url, args: ['news'], until: 'listening' })
  await example('pub', { url, args: ['news', 'Hi!', 'flash'] })
  assert.match(await sub.stop(), /news\.flash: "Hi!"/)
})
