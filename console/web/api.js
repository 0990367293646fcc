// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Calls of the API, with the token of who is logged in.

import { info } from './info.js'
import * as auth from './auth.js'

/** What the API says is wrong (RFC 9457), or that it did not answer: then the status is 0. */
export class Problem extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    super(body?.detail || body?.message || `The server answers ${status}`)
    this.status = status
    /** @type {string} */
    this.code = body?.error || ''
    /** @type {import('../types').Violation[]} */
    this.violations = body?.violations || []
    /** @type {string[]} */
    this.candidates = body?.candidates || []
    /** @type {string} */
    this.command = body?.command || ''
  }
}

/** Gets an event "online" or "offline" when the server begins or ceases to answer. */
export const reach = new EventTarget()
let online = true

/** @param {boolean} now */
export function reached(now) {
  if (now === online) return
  online = now
  reach.dispatchEvent(new Event(now ? 'online' : 'offline'))
}

export const isOnline = () => online

/** @typedef {Record<string, string | number | boolean | string[] | undefined | null>} Query */

/**
 * @typedef {object} Request
 * @property {string} [method] GET if it is not there
 * @property {Query | URLSearchParams} [query]
 * @property {BodyInit} [body]
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 */

/**
 * Returns the answer to a call, if it is a good one; throws a Problem otherwise.
 * @param {string} path below that of the API
 * @param {Request} [r]
 * @returns {Promise<Response>}
 */
export async function call(path, r = {}) {
  const send = async () => {
    const { api } = await info()
    return fetch(api + path + search(r.query), {
      method: r.method || 'GET', body: r.body, signal: r.signal, cache: 'no-store',
      headers: { ...r.headers, Authorization: `Bearer ${await auth.token()}` },
    })
  }
  let answer
  try {
    answer = await send()
    if (answer.status === 401 && await auth.renew()) answer = await send()
    reached(true)
  } catch (error) {
    if (r.signal?.aborted) throw error
    reached(false)
    throw new Problem(0, { detail: 'The server cannot be reached' })
  }
  if (answer.ok) return answer
  throw new Problem(answer.status, await answer.json().catch(() => null))
}

/** @param {Query | URLSearchParams} [query] */
export function search(query) {
  if (!query) return ''
  const all = query instanceof URLSearchParams ? query : new URLSearchParams()
  if (!(query instanceof URLSearchParams)) {
    for (const [name, value] of Object.entries(query)) {
      if (value === undefined || value === null || value === '' || value === false) continue
      for (const one of Array.isArray(value) ? value : [value]) all.append(name, String(one))
    }
  }
  const text = all.toString()
  return text && '?' + text
}

/**
 * @param {string} path
 * @param {Query | URLSearchParams} [query]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export const get = async (path, query, signal) => (await call(path, { query, signal })).json()

/**
 * A page of a list, how many there are in all, and the cursor of the next page.
 * @param {string} path
 * @param {Query | URLSearchParams} query
 * @param {AbortSignal} [signal]
 */
export async function page(path, query, signal) {
  const answer = await call(path, { query, signal })
  const next = /<([^>]*)>;\s*rel="next"/.exec(answer.headers.get('Link') || '')
  return {
    list: await answer.json(),
    total: Number(answer.headers.get('X-Total-Count')),
    next: next ? new URL(next[1], location.origin).searchParams.get('cursor') : null,
  }
}

/** @param {string} app */
export const appPath = app => `/apps/${encodeURIComponent(app)}`
