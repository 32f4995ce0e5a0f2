// Where the examples connect to: REALTIME_URL, or a gateway of their own.
import { LocalGateway } from 'realtime-pubsub'

/** A URL, and what to do when the example is over. */
export async function connection(subject) {
  const url = process.env.REALTIME_URL
  if (url) return { url, end: async () => {} }
  const gateway = await LocalGateway.start()
  console.error(`a gateway of its own; for others: REALTIME_URL='${gateway.urlWithToken('other')}'`)
  return { url: gateway.urlWithToken(subject), end: () => gateway.stop() }
}
