// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// What every page is, and what pages share.

import { html, nothing } from './vendor/lit-html.js'
import { Problem } from './api.js'

/**
 * @typedef {object} At where a page is
 * @property {string[]} params what the path names, decoded
 * @property {URLSearchParams} query
 * @property {AbortSignal} signal ends what the page has begun, when it is left
 * @property {() => void} redraw has the page drawn, at most once a frame
 */

/**
 * @typedef {object} Page
 * @property {() => string} title
 * @property {() => unknown} draw
 * @property {() => void} [reload] reads anew what the page shows
 * @property {(query: URLSearchParams) => void} [update] the query has changed
 */

/** Something that is read from the server, and may fail. @template T */
export class Loaded {
  /** @type {T | undefined} */
  value
  /** @type {unknown} */
  error
  loading = false
  #at
  #read
  #turn = 0

  /** @param {At} at @param {() => Promise<T>} read */
  constructor(at, read) {
    this.#at = at
    this.#read = read
  }

  /** Reads it. What was there stays until then. */
  async load() {
    const turn = ++this.#turn
    this.loading = true
    try {
      const value = await this.#read()
      if (turn !== this.#turn || this.#at.signal.aborted) return
      this.value = value
      this.error = undefined
    } catch (error) {
      if (turn !== this.#turn || this.#at.signal.aborted) return
      this.error = error
    }
    this.loading = false
    this.#at.redraw()
  }

  /**
   * Draws it, or why it cannot be.
   * @param {(value: T) => unknown} draw
   */
  draw(draw) {
    if (this.value !== undefined && !(this.error instanceof Problem && [403, 404, 410].includes(this.error.status))) {
      return draw(this.value)
    }
    return this.error ? problem(this.error, () => this.load()) : html`<p class="loading" aria-busy="true">Loading…</p>`
  }
}

/** @param {unknown} error @param {() => void} [retry] */
export function problem(error, retry) {
  const text = error instanceof Error ? error.message : String(error)
  const missing = error instanceof Problem && error.status === 404
  return html`<div class="problem" role="alert">
    <h2>${missing ? 'There is no such thing, or none that you may read' : 'That did not work'}</h2>
    <p>${text}</p>
    ${retry && !missing ? html`<button @click=${retry}>Try again</button>` : nothing}
  </div>`
}

/**
 * Returns a function that calls f a while later, once for several calls: what Drogue says of a build
 * follows the end of the build.
 * @param {() => void} f
 * @param {number} ms
 */
export function later(f, ms) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined
      f()
    }, ms)
  }
}

/**
 * Returns a function that has f called soon, and at most once in some time, however often it is called.
 * @param {() => void} f
 * @param {number} ms
 */
export function sparing(f, ms) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  let last = -ms
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined
      last = performance.now()
      f()
    }, Math.max(0, last + ms - performance.now()))
  }
}

/**
 * Draws every second, as long as something counts.
 * @param {At} at
 * @param {() => boolean} counts
 */
export function tick(at, counts) {
  let slow = 0
  const timer = setInterval(() => {
    if (!document.hidden && (counts() || ++slow % 20 === 0)) at.redraw()
  }, 1000)
  at.signal.addEventListener('abort', () => clearInterval(timer))
}
