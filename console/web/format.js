// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// How times, sizes and names are written.

const second = 1000, minute = 60 * second, hour = 60 * minute, day = 24 * hour

/**
 * How long something took, in at most two units, such as "1m 12s". The times of Kubernetes are whole seconds.
 * @param {number} ms
 */
export function duration(ms) {
  if (!Number.isFinite(ms)) return ''
  if (ms < second) return '<1s'
  if (ms < minute) return Math.floor(ms / second) + 's'
  if (ms < hour) return two(ms, minute, 'm', second, 's')
  if (ms < day) return two(ms, hour, 'h', minute, 'm')
  return two(ms, day, 'd', hour, 'h')
}

/** @param {number} ms @param {number} a @param {string} an @param {number} b @param {string} bn */
function two(ms, a, an, b, bn) {
  const rest = Math.floor((ms % a) / b)
  return Math.floor(ms / a) + an + (rest ? ` ${rest}${bn}` : '')
}

/**
 * How long ago a time was.
 * @param {string|undefined} at RFC 3339
 */
export function ago(at, now = Date.now()) {
  if (!at) return ''
  const ms = now - Date.parse(at)
  if (ms < 10 * second) return 'just now'
  if (ms < minute) return `${Math.floor(ms / second)}s ago`
  if (ms < hour) return `${Math.floor(ms / minute)}m ago`
  if (ms < 2 * day) return `${Math.floor(ms / hour)}h ago`
  if (ms < 30 * day) return `${Math.floor(ms / day)}d ago`
  return new Date(at).toLocaleDateString(undefined, { dateStyle: 'medium' })
}

/** @param {string|undefined} at */
export const exact = at => at ? new Date(at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'long' }) : ''

/** @param {number|undefined} bytes */
export function size(bytes) {
  if (bytes === undefined) return ''
  if (bytes < 1000) return `${bytes} B`
  const unit = bytes < 1e6 ? 'kB' : bytes < 1e9 ? 'MB' : 'GB'
  const n = bytes / { kB: 1e3, MB: 1e6, GB: 1e9 }[unit]
  return `${n < 10 ? n.toFixed(1) : Math.round(n)} ${unit}`
}

/** The end of an id, by which the API finds a build. @param {string} id */
export const short = id => id.slice(-8)

/** @param {number} n @param {string} one @param {string} [many] */
export const count = (n, one, many = one + 's') => `${n.toLocaleString()} ${n === 1 ? one : many}`

/**
 * How long a build took, or has taken so far.
 * @param {import('../types').Build} b
 */
export function took(b, now = Date.now()) {
  if (!b.started) return NaN
  return (b.completed ? Date.parse(b.completed) : now) - Date.parse(b.started)
}

/** @param {{app: string, device?: string}} o */
export const objectName = o => o.device ? `${o.app} / ${o.device}` : o.app

/** The path of an object's page. @param {string} app @param {string} [device] */
export const objectPath = (app, device) => device
  ? `/apps/${encodeURIComponent(app)}/devices?device=${encodeURIComponent(device)}`
  : `/apps/${encodeURIComponent(app)}`

/** The path of a build's page. One that was rejected is found by its object. @param {import('../types').Build} b */
export const buildPath = b => `/builds/${b.id}` + (b.rejected
  ? '?' + new URLSearchParams(b.device ? { application: b.app, device: b.device } : { application: b.app })
  : '')
