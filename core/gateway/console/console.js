// The console's page. Everything that came from clients is shown with textContent: it is text, never markup.

const $ = (id) => document.getElementById(id)
const SAMPLES = 120
const ROWS = 300

let session = null
let following = null

// --- who looks ---------------------------------------------------------------------------------------------------

function claims(token) {
  try {
    const part = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (c) => c.charCodeAt(0))))
  } catch {
    return {}
  }
}

async function call(path, { token, app }) {
  const response = await fetch(`/api/console/${encodeURIComponent(app)}${path}`, {
    headers: token ? { authorization: `Bearer ${token}` } : {},
    cache: 'no-store',
    signal: AbortSignal.timeout(10_000),
  })
  const body = await response.json().catch(() => ({}))
  if (response.ok) return body
  const error = new Error(body.error?.message ?? `status ${response.status}`)
  error.status = response.status
  throw error
}

async function signIn(token, app) {
  const trial = { token, app: app || claims(token).app || 'local' }
  try {
    const overview = await call('', trial)
    sessionStorage.setItem('console', JSON.stringify(trial))
    session = { ...trial, find: '', last: null, timer: 0 }
    $('entrance').hidden = true
    $('console').hidden = $('sign-out').hidden = $('app').hidden = false
    $('app').textContent = overview.app
    $('token').value = ''
    tiles.forEach((tile) => tile.reset())
    show(overview)
    session.timer = setTimeout(look, 1000, session)
  } catch (error) {
    signOut(error.message)
  }
}

function signOut(why) {
  clearTimeout(session?.timer)
  stopFollowing()
  session = null
  sessionStorage.removeItem('console')
  $('console').hidden = $('sign-out').hidden = $('app').hidden = true
  $('entrance').hidden = false
  $('refused').hidden = !why
  $('refused').textContent = why ?? ''
  $('uptime').textContent = ''
  status('', '')
  messages.clear()
}

function status(kind, text) {
  $('status').className = `status ${kind}`
  if ($('status').textContent !== text) $('status').textContent = text
}

/** Whether the session is over because of this error. */
function lost(error) {
  if ([401, 403, 404].includes(error.status)) {
    signOut(error.message)
    return true
  }
  status('lost', error.status ? error.message : 'the gateway does not answer')
  return false
}

// --- numbers -----------------------------------------------------------------------------------------------------

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
const number = (n) => (n < 100_000 ? whole.format(n) : short.format(n))
function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  while (n >= 1024 && unit < units.length - 1) (n /= 1024), unit++
  return `${unit && n < 100 ? n.toFixed(1) : whole.format(n)} ${units[unit]}`
}
/** Which gateway this is, where there are several: all but the messages is of this one alone. */
function place(cluster) {
  if (!cluster) return ''
  return cluster.nats === 'connected' ? `one of ${number(cluster.members)} gateways, ` : `alone, NATS ${cluster.nats}, `
}

function age(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`
}

// --- plots -------------------------------------------------------------------------------------------------------

const element = (name, className, text = '') => {
  const made = document.createElement(name)
  made.className = className
  made.textContent = text
  return made
}
const drawn = (name, attributes) => {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  return made
}

class Tile {
  constructor(name, id, read, format, more) {
    Object.assign(this, { read, format, more })
    const root = element('div', 'tile')
    root.id = id
    this.value = element('div', 'value', '–')
    this.note = element('div', 'more')
    const plot = drawn('svg', { class: 'plot', viewBox: `0 0 ${SAMPLES - 1} 40`, preserveAspectRatio: 'none' })
    this.area = drawn('polygon', { class: 'area' })
    this.line = drawn('polyline', { class: 'line' })
    plot.append(this.area, this.line)
    root.append(element('div', 'name', name), this.value, this.note, plot)
    $('tiles').append(root)
    this.reset()
  }

  reset() {
    this.samples = []
  }

  add(now, before) {
    const sample = this.read(now, before)
    if (this.more) this.note.textContent = this.more(now)
    if (sample === undefined) return
    this.samples.push(sample)
    if (this.samples.length > SAMPLES) this.samples.shift()
    this.value.textContent = this.format(sample)
    const top = Math.max(1, ...this.samples)
    // A young plot is stretched: half a minute fills it at least.
    const wide = (SAMPLES - 1) / (Math.max(30, this.samples.length) - 1)
    const at = (index) => (SAMPLES - 1 - (this.samples.length - 1 - index) * wide).toFixed(1)
    const points = this.samples.map((y, index) => `${at(index)},${(38 - (y / top) * 34).toFixed(1)}`)
    this.line.setAttribute('points', points.join(' '))
    this.area.setAttribute('points', [`${at(0)},40`, ...points, `${SAMPLES - 1},40`].join(' '))
  }
}

const rate = (name) => (now, before) =>
  before && now.time > before.time ? Math.max(0, now.counts[name] - before.counts[name]) / (now.time - before.time) : undefined
const tiles = [
  new Tile('Connections', 'tile-connections', (now) => now.counts.connections, number, (now) => `${number(now.counts.connectionsOpened)} since the start`),
  new Tile('Messages in / s', 'tile-in', rate('messagesReceived'), number, (now) => `${number(now.counts.messagesReceived)} in all, ${number(now.counts.acks)} acks`),
  new Tile('Messages out / s', 'tile-out', rate('messagesDelivered'), number, (now) => `${number(now.counts.messagesDelivered)} in all`),
  new Tile('Bytes out / s', 'tile-bytes', rate('deliveredBytes'), bytes, (now) => `${bytes(now.counts.deliveredBytes)} in all`),
  new Tile('Subscriptions', 'tile-subscriptions', (now) => now.counts.subscriptions, number, (now) => `${number(now.counts.topics)} topics`),
  new Tile('Queued', 'tile-queued', (now) => now.counts.queuedBytes, bytes, (now) => `${number(now.counts.slowConsumers)} slow consumers closed`),
]

// --- tables ------------------------------------------------------------------------------------------------------

/** Rows by key; a row that stays is the same element, so that a click never misses. */
class Table {
  constructor(id, classes) {
    this.body = $(id).tBodies[0]
    this.classes = classes
    this.rows = new Map()
  }

  row(key, texts) {
    let row = this.rows.get(key)
    if (!row) {
      row = document.createElement('tr')
      row.append(...this.classes.map((className) => element('td', className)))
      this.rows.set(key, row)
    }
    texts.forEach((text, index) => {
      const cell = row.cells[index]
      if (cell.textContent !== text) cell.textContent = cell.title = text
    })
    return row
  }

  /** Shows exactly these, in this order. */
  show(entries) {
    const keys = new Set(entries.map(([key]) => key))
    for (const [key, row] of this.rows) {
      if (!keys.has(key)) {
        row.remove()
        this.rows.delete(key)
      }
    }
    entries.forEach(([key, texts], index) => {
      const row = this.row(key, texts)
      if (this.body.rows[index] !== row) this.body.insertBefore(row, this.body.rows[index] ?? null)
    })
  }

  clear() {
    this.rows.clear()
    this.body.replaceChildren()
  }
}

const topics = new Table('topics', ['', 'number'])
const connections = new Table('connections', ['', 'code', 'code', 'number', 'number', 'number'])
const messages = new Table('messages', ['code', '', '', '', 'number', 'payload'])

// --- the overview ------------------------------------------------------------------------------------------------

function show(overview) {
  tiles.forEach((tile) => tile.add(overview, session.last))
  session.last = overview
  topics.show(overview.topics.map(([topic, count]) => [topic, [topic, number(count)]]))
  for (const [topic, row] of topics.rows) row.classList.toggle('chosen', topic === following?.topic)
  connections.show(
    overview.connections.map((c) => [
      c.id,
      [c.subject, c.id, c.remoteAddress, number(c.subscriptions), bytes(c.queuedBytes), age(c.age)],
    ]),
  )
  $('topic-count').textContent = number(overview.counts.topics)
  $('connection-count').textContent = number(overview.counts.connections)
  $('partial').hidden = overview.complete
  $('uptime').textContent = `${place(overview.cluster)}up ${age(overview.uptime)}, version ${overview.version}`
  status('live', overview.draining ? 'stopping' : 'live')
}

async function look(of) {
  if (of !== session) return
  try {
    if (!document.hidden) {
      const overview = await call(`?find=${encodeURIComponent(of.find)}`, of)
      if (of !== session) return
      show(overview)
    }
  } catch (error) {
    if (of !== session || lost(error)) return
    of.last = null
  }
  of.timer = setTimeout(look, 1000, of)
}

// --- the tail ----------------------------------------------------------------------------------------------------

function follow(topic) {
  stopFollowing()
  messages.clear()
  $('topic').value = topic
  $('stop').disabled = false
  $('no-messages').hidden = false
  $('no-messages').textContent = 'Waiting for messages…'
  following = { topic, after: 0, key: 0, timer: 0 }
  for (const [name, row] of topics.rows) row.classList.toggle('chosen', name === topic)
  poll(following)
}

function stopFollowing() {
  clearTimeout(following?.timer)
  following = null
  $('stop').disabled = true
}

async function poll(of) {
  try {
    const news = await call(`/tail?topic=${encodeURIComponent(of.topic)}&after=${of.after}`, session)
    if (of !== following) return
    // A gateway that started anew, or a tail that was given up, counts from the beginning.
    of.after = news.sequence < of.after ? 0 : news.sequence
    for (const seen of news.messages) {
      const from = seen.subject === null ? 'REST' : seen.subject
      const cut = seen.payloadBytes > new TextEncoder().encode(seen.payload).length ? ' …' : ''
      const time = new Date(seen.time)
      const clock = `${time.toLocaleTimeString('en-GB')}.${String(time.getMilliseconds()).padStart(3, '0')}`
      const row = messages.row(++of.key, [clock, seen.topic, seen.messageType, from, number(seen.payloadBytes), seen.payload + cut])
      if (seen.connectionId) row.cells[3].title = `connection ${seen.connectionId}, id ${seen.id}`
      messages.body.prepend(row)
      if (messages.rows.size > ROWS) {
        messages.rows.get(of.key - ROWS)?.remove()
        messages.rows.delete(of.key - ROWS)
      }
    }
    $('no-messages').hidden = messages.rows.size > 0
    $('skipped').textContent = news.skipped ? `${number(news.skipped)} not shown: too many a second` : ''
  } catch (error) {
    if (of !== following || lost(error)) return
  }
  of.timer = setTimeout(poll, 500, of)
}

// --- what can be clicked -----------------------------------------------------------------------------------------

$('sign-in').addEventListener('submit', (event) => {
  event.preventDefault()
  signIn($('token').value.trim(), $('app-name').value.trim())
})
$('token').addEventListener('input', () => {
  const { app } = claims($('token').value.trim())
  if (app) $('app-name').value = app
})
$('sign-out').addEventListener('click', () => signOut())
$('find').addEventListener('input', () => {
  if (session) session.find = $('find').value.trim()
})
$('tail').addEventListener('submit', (event) => {
  event.preventDefault()
  if ($('topic').value) follow($('topic').value)
})
$('stop').addEventListener('click', stopFollowing)
$('clear').addEventListener('click', () => messages.clear())
for (const [id, column] of [['topics', 0], ['messages', 1]]) {
  $(id).tBodies[0].addEventListener('click', (event) => {
    const cell = event.target.closest('td')
    if (cell?.cellIndex === column) follow(cell.textContent)
  })
}

// A link may bring the token behind `#`, which no server sees; it does not stay in the address, nor in the history.
const given = new URLSearchParams(location.hash.slice(1))
if (location.hash) history.replaceState(null, '', location.pathname)
const kept = JSON.parse(sessionStorage.getItem('console') ?? 'null')
if (given.get('token')) signIn(given.get('token'), given.get('app') ?? '')
else if (kept) signIn(kept.token, kept.app)
