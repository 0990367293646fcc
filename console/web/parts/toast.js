// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// What has happened, in a corner for a while, and for those who listen.

import { html, nothing, render } from '../vendor/lit-html.js'
import { icon } from './icon.js'

/** @typedef {{text: unknown, bad: boolean, id: number}} Toast */

/** @type {Toast[]} */
let toasts = []
let ids = 0

const life = 8000

/**
 * Shows a text, or a template with a link. What went wrong stays until it is closed.
 * @param {unknown} text
 * @param {boolean} [bad]
 */
export function toast(text, bad = false) {
  const id = ++ids
  toasts = [...toasts.slice(-3), { text, bad, id }]
  draw()
  if (!bad) setTimeout(() => close(id), life)
}

/** @param {unknown} error */
export const failed = error => toast(error instanceof Error ? error.message : String(error), true)

/** @param {number} id */
function close(id) {
  toasts = toasts.filter(t => t.id !== id)
  draw()
}

function draw() {
  const root = document.getElementById('toasts')
  if (!root) return
  render(toasts.map(t => html`
    <div class="toast ${t.bad ? 'bad' : ''}" role=${t.bad ? 'alert' : 'status'}>
      <span>${t.bad ? icon('failed') : nothing} ${t.text}</span>
      <button class="bare" aria-label="Close" @click=${() => close(t.id)}>${icon('close')}</button>
    </div>`), root)
}

const every = 5000
let said = 0, next = ''
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer

/**
 * Says something to those who cannot see it, at most every five seconds: the last of several.
 * @param {string} text
 */
export function announce(text) {
  next = text
  timer ??= setTimeout(() => {
    timer = undefined
    said = Date.now()
    const live = document.getElementById('live')
    if (live) live.textContent = next
  }, Math.max(0, said + every - Date.now()))
}
