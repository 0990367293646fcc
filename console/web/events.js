// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Builds as they change: the server-sent events of the API. EventSource cannot send a token.

import { Problem, call, reached } from './api.js'
import * as auth from './auth.js'

/**
 * @typedef {object} Listener
 * @property {(builds: import('../types').Build[]) => void} snapshot the builds that have not ended
 * @property {(build: import('../types').Build) => void} build
 * @property {(id: string) => void} gone
 * @property {() => void} [poll] is called from time to time while there is no stream
 */

/** How long to wait before the next try, in ms: at first, at most, and when the caller has too many streams. */
const wait = { first: 1000, most: 30_000, crowded: 10_000 }
/** How long a stream lasts that is none which ends at once. */
const steady = 10_000

/**
 * Listens until the signal. A hidden tab does not: a browser has six connections to a server, for all of
 * its tabs. Whoever was cut off gets a snapshot.
 * @param {import('./api.js').Query} query
 * @param {Listener} on
 * @param {AbortSignal} signal
 */
export async function listen(query, on, signal) {
  let delay = wait.first
  while (!signal.aborted) {
    await visible(signal)
    const cut = new Cut(() => document.hidden), began = Date.now()
    try {
      cut.alive()
      const answer = await call('/events', {
        query, signal: AbortSignal.any([signal, cut.signal]), headers: { Accept: 'text/event-stream' },
      })
      for await (const event of parse(answer, cut)) {
        if (event.type === 'expired') break
        dispatch(event, on)
      }
      await auth.token()
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof Problem && error.status === 401) {
        await loggedIn(signal)
      } else if (error instanceof Problem && error.status === 429) {
        on.poll?.()
        delay = Math.max(delay, wait.crowded)
      } else if (!cut.signal.aborted && !(error instanceof Problem)) { // it was cut off
        reached(false)
      }
    } finally {
      cut.end()
    }
    if (document.hidden) continue
    if (Date.now() - began > steady) delay = wait.first
    await sleep(delay * (0.75 + Math.random() / 2), signal)
    delay = Math.min(delay * 2, wait.most)
  }
}

/** How long a stream of events may be silent: the server says every 15 seconds that it is there. */
const silent = 40_000

/** Ends a call when its tab is hidden, when the browser loses its network, and when the server is silent. */
export class Cut extends AbortController {
  #ended = new AbortController()
  /** Whether it ended a call since nothing came, after an answer had begun or not. */
  silent = false
  answered = false
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer

  /** @param {() => boolean} hidden whether it is to end now that the tab may be hidden */
  constructor(hidden) {
    super()
    const { signal } = this.#ended
    document.addEventListener('visibilitychange', () => { if (hidden()) this.abort() }, { signal })
    addEventListener('offline', () => this.abort(), { signal })
  }

  /** Something has come. The next has to come within some milliseconds. */
  alive(within = silent) {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.silent = true
      this.abort()
    }, within)
  }

  /** Ends the call, if it goes on: nobody reads it any more. */
  end() {
    clearTimeout(this.#timer)
    this.#ended.abort()
    this.abort()
  }
}

/** @param {{type: string, data: string}} event @param {Listener} on */
function dispatch({ type, data }, on) {
  const value = JSON.parse(data)
  if (type === 'snapshot') on.snapshot(value)
  else if (type === 'build') on.build(value)
  else if (type === 'gone') on.gone(value.id)
}

/**
 * Takes a stream of events apart (HTML, section 9.2.6).
 * @param {Response} answer
 * @param {Cut} cut
 */
async function* parse(answer, cut) {
  let rest = ''
  for await (const text of texts(answer)) {
    cut.alive()
    const events = (rest + text).split('\n\n')
    rest = events.pop() || ''
    for (const event of events) {
      const type = /^event: ?(.*)$/m.exec(event), data = /^data: ?(.*)$/m.exec(event)
      if (type && data) yield { type: type[1], data: data[1] }
    }
  }
}

/**
 * The text of an answer, in pieces as they come.
 * @param {Response} answer
 */
export async function* texts(answer) {
  const reader = answer.body?.getReader()
  const decoder = new TextDecoder()
  while (reader) {
    const { done, value } = await reader.read()
    if (done) return
    yield decoder.decode(value, { stream: true })
  }
}

/** @param {AbortSignal} signal */
const visible = signal => until(document, 'visibilitychange', () => !document.hidden, signal)

/** @param {AbortSignal} signal */
const loggedIn = signal => until(auth.changed, 'change', auth.loggedIn, signal)

/**
 * @param {EventTarget} target
 * @param {string} type
 * @param {() => boolean} holds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function until(target, type, holds, signal) {
  return new Promise(resolve => {
    const settle = () => {
      if (!holds() && !signal.aborted) return
      target.removeEventListener(type, settle)
      signal.removeEventListener('abort', settle)
      resolve()
    }
    target.addEventListener(type, settle)
    signal.addEventListener('abort', settle)
    settle()
  })
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function sleep(ms, signal) {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => { clearTimeout(timer); resolve() }, { once: true })
  })
}
