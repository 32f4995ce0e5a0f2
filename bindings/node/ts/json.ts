import { InvalidArgumentError } from './errors.js'

const NONCE = `bigint ${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)} `
const STRINGS_AND_NUMBERS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g
const MARKED = new RegExp(`"${NONCE}(-?\\d+)"`, 'g')
/** How a Buffer's own `toJSON` shows in a text. */
const BUFFER = '{"type":"Buffer","data":['

const isBytes = (value: unknown): boolean => ArrayBuffer.isView(value) || value instanceof ArrayBuffer

const NO_BYTES =
  'a payload is JSON, which has no binary data: send buffer.toString("base64"), and Buffer.from(text, "base64") on the other side'

const isWellFormed = (String.prototype as { isWellFormed?: () => boolean }).isWellFormed

/** Whether a string can cross as it is. Lone surrogates can't: `JSON.stringify` escapes them. */
export const isPlain: (text: string) => boolean = isWellFormed ? text => isWellFormed.call(text) : () => false

/** A value as JSON text. `undefined` is null. */
export function stringify(value: unknown, bigint: boolean): string {
  if (value === undefined) return 'null'
  if (isBytes(value)) throw new InvalidArgumentError(NO_BYTES)
  let text: string | undefined
  try {
    text = bigint ? JSON.stringify(value, mark)?.replace(MARKED, '$1') : JSON.stringify(value)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    const hint = !bigint && why.includes('BigInt') ? '; the client option `bigint: true` sends BigInts as numbers' : ''
    throw new InvalidArgumentError(`the payload can't be written as JSON: ${why}${hint}`, { cause })
  }
  if (text === undefined) throw new InvalidArgumentError(`a ${typeof value} can't be written as JSON`)
  if (text.includes(BUFFER)) refuseBuffers(value)
  return text
}

function mark(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? NONCE + value : value
}

function refuseBuffers(value: unknown): void {
  JSON.stringify(value, function (this: Record<string, unknown>, key: string, shown: unknown) {
    if (isBytes(this[key])) throw new InvalidArgumentError(NO_BYTES)
    return typeof shown === 'bigint' ? null : shown
  })
}

/** Reads JSON with its integers beyond 2^53 as BigInts. */
export function parseBig(text: string): unknown {
  const marked = text.replace(STRINGS_AND_NUMBERS, token =>
    /^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${NONCE}${token}"` : token,
  )
  return JSON.parse(marked, (_key, value) =>
    typeof value === 'string' && value.startsWith(NONCE) ? BigInt(value.slice(NONCE.length)) : value,
  )
}
