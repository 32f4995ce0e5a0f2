// The gateway that all clients are measured with. Told what to do over the process's channel.
import { createRequire } from 'node:module'

const { LocalGateway } = createRequire(import.meta.url)('../dist/index.js')

const gateway = await LocalGateway.start({ outboundBytes: 1 << 30, drain: 100 })
/** Server frames for one message after another, ids all different. */
function frames(count, payloadBytes) {
  const parts = []
  const payload = 'x'.repeat(payloadBytes)
  for (let index = 0; index < count; index += 1) {
    const id = index.toString(16).padStart(32, '0')
    const client = { connectionId: '0123456789abcdef0123456789abcdef', subject: 'bench', permissions: ['*'] }
    const text = JSON.stringify({ topic: 'flood', messageType: 'data', data: { client, payload, id } })
    const length = Buffer.byteLength(text)
    parts.push(Buffer.from([0x81, 126, length >> 8, length & 255]), Buffer.from(text))
  }
  return Buffer.concat(parts)
}

const block = frames(1000, 128)

process.on('message', message => {
  if (message.flood) {
    for (let sent = 0; sent < message.flood; sent += 1000) {
      gateway.faults.sendBytes({ subject: 'client' }, block)
    }
  } else if (message.stop) {
    process.exit(0)
  }
})
process.send({ url: gateway.urlWithToken('client') })
