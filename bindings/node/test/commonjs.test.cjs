'use strict'
// The package as CommonJS programs see it, and what it says when a part is missing.
const assert = require('node:assert/strict')
const { execFile, spawnSync } = require('node:child_process')
const { existsSync } = require('node:fs')
const { join } = require('node:path')
const { test } = require('node:test')
const { promisify } = require('node:util')

test('require and import give the same classes', async () => {
  const required = require('realtime-pubsub')
  const imported = await import('realtime-pubsub')
  assert.ok(Object.keys(required).length > 20)
  for (const name of Object.keys(required)) assert.equal(imported[name], required[name], name)
})

test('what is private stays private', () => {
  const { RealtimeClient } = require('realtime-pubsub')
  assert.throws(() => require('realtime-pubsub/dist/native.js'), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' })
  assert.deepEqual(Object.keys(new RealtimeClient({ url: 'ws://127.0.0.1:1/apps/x' })), [])
})

test('without its native part it names the package that is missing and what to do', () => {
  const { status, stderr } = spawnSync(process.execPath, ['-e', 'require("realtime-pubsub")'], {
    cwd: process.env.RPS_BARE,
    encoding: 'utf8',
  })
  assert.notEqual(status, 0)
  assert.match(stderr, /has no native part for \S+-\S+, Node v\d+/)
  assert.match(stderr, /the package @realtime-pubsub\/\S+@\d+\.\d+\.\d+ is not installed/)
  assert.match(stderr, /npm install @realtime-pubsub\//)
})

test('a native part that can not be loaded is named with the reason', () => {
  const run = path =>
    spawnSync(process.execPath, ['-e', 'require("realtime-pubsub")'], {
      cwd: process.cwd(),
      encoding: 'utf8',
      env: { ...process.env, REALTIME_PUBSUB_NATIVE: path },
    }).stderr
  assert.match(run(join(__dirname, 'types', 'tsconfig.json')), /native part|version/)
  assert.match(run('/nowhere/x.node'), /finds no native part at \/nowhere\/x\.node/)
})

test('the tarball holds what is needed and nothing else', () => {
  const folder = join(process.cwd(), 'node_modules', 'realtime-pubsub')
  for (const file of ['dist/index.js', 'dist/esm.mjs', 'dist/index.d.ts', 'dist/esm.d.mts', 'README.md', 'LICENSE']) {
    assert.ok(existsSync(join(folder, file)), file)
  }
  for (const file of ['src', 'ts', 'test', 'Cargo.toml', 'node_modules'])
    assert.ok(!existsSync(join(folder, file)), file)
})

test('from require to session.started takes less than 120 ms', async t => {
  const { LocalGateway } = require('realtime-pubsub')
  const gateway = await LocalGateway.start()
  const source = `
    const from = performance.now()
    const before = process.cpuUsage()
    const { RealtimeClient } = require('realtime-pubsub')
    const client = new RealtimeClient({ url: process.argv[1] })
    client.connect().then(() => {
      const { user, system } = process.cpuUsage(before)
      console.log(JSON.stringify([performance.now() - from, (user + system) / 1000]))
      return client.disconnect()
    })`
  // The machine may be busy with other things: what is promised must show in one of several tries, or in the processor
  // time that it takes: then it was not the client that was waited for.
  const tries = []
  do {
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', source, gateway.urlWithToken('alice')])
    tries.push(JSON.parse(stdout))
  } while (tries.at(-1)[0] >= 120 && tries.length < 10)
  await gateway.stop()
  t.diagnostic(tries.map(([wall, busy]) => `${wall.toFixed()} ms, busy ${busy.toFixed()} ms`).join('; '))
  const least = column => Math.min(...tries.map(times => times[column]))
  assert.ok(least(0) < 120 || (least(1) < 120 && least(0) < 1000), JSON.stringify(tries))
})
