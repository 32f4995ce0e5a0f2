// Compares our client with the published one and with `ws` by hand. Each measurement is a process of its own on one
// core, the gateway is a process on the other; rounds are interleaved, medians compared. It takes the release build:
//
//   cargo build --release -p realtime-pubsub-node && cargo build --release -p realtime-pubsub-c --example bench
//   npm ci && npx tsc -p . && cd bench && npm ci
//   node run.mjs [ROUNDS [CASE…]]
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const here = path => fileURLToPath(new URL(path, import.meta.url))
const target = process.env.CARGO_TARGET_DIR ?? here('../../../target')
const built = { darwin: 'librealtime_pubsub_node.dylib', win32: 'realtime_pubsub_node.dll' }
copyFileSync(`${target}/release/${built[process.platform] ?? 'librealtime_pubsub_node.so'}`, here('native.node'))
process.env.REALTIME_PUBSUB_NATIVE = here('native.node')

const CASES = ['ack-64', 'ack-1024', 'receive', 'fire', 'reply-64', 'latency']
const SECONDS = 1.5
const CLIENTS = ['ours', 'published', 'ws by hand']
const [rounds = '5', ...chosen] = process.argv.slice(2)
const cases = chosen.length > 0 ? chosen : CASES

const gateway = spawn('taskset', ['-c', '1', `${target}/release/examples/bench`, 'serve'], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
const [url] = await once(createInterface(gateway.stdout), 'line')
const results = new Map()

for (let round = 0; round < Number(rounds); round += 1) {
  for (const what of cases) {
    for (const name of CLIENTS) {
      const pinned = { execPath: 'taskset', execArgv: ['-c', '0', process.execPath, '--no-warnings'] }
      const child = fork(here('client.mjs'), [name, what, url, SECONDS], pinned)
      const exited = once(child, 'exit')
      child.on('message', result => {
        results.set(`${what}/${name}`, [...(results.get(`${what}/${name}`) ?? []), result])
      })
      const [code] = await exited
      if (code !== 0) throw new Error(`${name}, ${what}: exit code ${code}`)
    }
  }
}
gateway.kill()

const median = numbers => numbers.sort((a, b) => a - b)[numbers.length >> 1]

/** A table of what `pick` takes from the results. */
function table(title, pick, cases) {
  const heads = CLIENTS.map(name => name.padStart(12))
  console.log(`\n${title.padEnd(40)}`, ...heads, 'to published'.padStart(14), 'to ws'.padStart(8))
  for (const what of cases) {
    const [own, other, bare] = CLIENTS.map(name => median(results.get(`${what}/${name}`).map(pick)))
    const shown = [own, other, bare].map(value => Math.round(value).toLocaleString('en').padStart(12))
    const [toOther, toBare] = [own / other, own / bare].map(ratio => `${ratio.toFixed(2)}x`)
    console.log(what.padEnd(40), ...shown, toOther.padStart(14), toBare.padStart(8))
  }
}

const throughputs = cases.filter(what => what !== 'latency')
if (throughputs.length > 0) {
  table('operations a second', result => result.figure, throughputs)
  // Where the machine is busy with other things, or the gateway is the slower side, these say more.
  table('operations a second of processor time', result => result.busy, throughputs)
}
if (cases.includes('latency')) table('microseconds', result => result.figure, ['latency'])
