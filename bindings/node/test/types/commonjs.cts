// The same types by way of `require`.
import realtime = require('realtime-pubsub')

export const client: realtime.RealtimeClient = new realtime.RealtimeClient({ url: 'wss://host/apps/x' })
export const error: Error = new realtime.TimeoutError('x')
