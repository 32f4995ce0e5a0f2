// The command line as a child process: the gateway, and the Rust client as a peer.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

const BINARY = process.env.REALTIME_PUBSUB

export class Running {
  constructor(args, url) {
    const env = url ? { ...process.env, REALTIME_URL: url } : process.env
    this.child = spawn(BINARY, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]()
    this.said = createInterface({ input: this.child.stderr })[Symbol.asyncIterator]()
    this.closed = once(this.child, 'close')
  }

  async line() {
    const { value, done } = await this.lines.next()
    if (done) throw new Error(`it ended: ${await this.rest(this.said)}`)
    return value
  }

  async json() {
    return JSON.parse(await this.line())
  }

  async says(beginning) {
    for (;;) {
      const { value, done } = await this.said.next()
      if (done) throw new Error(`it never said ${beginning}`)
      if (value.startsWith(beginning)) return value
    }
  }

  async rest(lines) {
    const all = []
    for await (const line of lines) all.push(line)
    return all.join('\n')
  }

  /** Its output, once it has ended with success. */
  async output() {
    this.child.stdin.end()
    const [out, err, [code]] = await Promise.all([this.rest(this.lines), this.rest(this.said), this.closed])
    if (code !== 0) throw new Error(`exit code ${code}: ${err}`)
    return out
  }

  async stop() {
    this.child.kill('SIGTERM')
    await this.closed
  }
}

export class Gateway {
  static async start(...args) {
    const gateway = new Gateway()
    gateway.running = new Running(['gateway', '--json', '--until-stdin-closes', ...args])
    Object.assign(gateway, await gateway.running.json())
    return gateway
  }

  /** A gateway whose URL has a token that may publish and not read secure topics. */
  static async limited() {
    process.env.INTEROP_KEY = randomBytes(32).toString('hex')
    const gateway = await Gateway.start('--client-key', 'env:INTEROP_KEY')
    const token = await new Running(['token', '--key', 'env:INTEROP_KEY', '--publish', '*']).output()
    gateway.url += `?access_token=${token}`
    return gateway
  }

  /** Runs a command as a peer, to its end. */
  run(...args) {
    return new Running(args, this.url).output()
  }

  /** Starts a command as a peer, and waits until it is ready. */
  async peer(ready, ...args) {
    const peer = new Running(args, this.url)
    await peer.says(ready)
    return peer
  }

  async publish(body) {
    const response = await fetch(`http://${this.address}/api/topics/${this.app}/publish`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.admin_token}` },
      body: JSON.stringify(body),
    })
    if (response.status !== 200) throw new Error(`status ${response.status}`)
  }

  async stop() {
    await this.running.stop()
  }
}
