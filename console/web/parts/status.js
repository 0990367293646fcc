// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// What state something is in: by an icon and a word, never by colour alone.

import { html, nothing } from '../vendor/lit-html.js'
import { icon } from './icon.js'

/** @typedef {Parameters<typeof icon>[0]} Icon */

/** @type {Record<string, [icon: Icon, kind: string]>} */
const appearances = {
  Queued: ['waiting', 'quiet'], Waiting: ['waiting', 'quiet'],
  Running: ['running', 'busy turning'], Updating: ['update', 'busy'],
  Succeeded: ['done', 'good'], InSync: ['done', 'good'],
  Failed: ['failed', 'bad'], NotInSync: ['warning', 'odd'],
  Cancelled: ['ended', 'quiet'], Skipped: ['ended', 'quiet'], Unknown: ['unknown', 'quiet'],
}

/** What a state of drift is called. @type {Record<import('../../types').DriftState, string>} */
export const drifts = { InSync: 'In sync', Updating: 'Updating', NotInSync: 'Not in sync', Unknown: 'Unknown' }

/** What a reason adds to the phase that it is of. @type {Record<string, string>} */
const going = { FetchingSource: 'Fetching source', Building: 'Building', Publishing: 'Publishing', TimedOut: 'Timed out', Superseded: 'Superseded' }

/** @param {string} state */
export const appearance = state => appearances[state] || appearances.Unknown

/** @param {import('../../types').Build} b */
export const word = b => going[b.reason] || b.status

/** @param {string} state @param {string} [text] */
export const state = (state, text) => {
  const [name, kind] = appearance(state)
  return html`<span class="state ${kind}">${icon(name)}<span>${text || state}</span></span>`
}

/** @param {import('../../types').Build} b */
export const status = b => html`${state(b.status, word(b))}${b.queue ? html`<span class="quiet"> ${nth(b.queue)} in line</span>` : nothing}`

/** @param {import('../../types').Drift} d */
export const drift = d => state(d.state, drifts[d.state])

/** @param {number} n */
export function nth(n) {
  const ending = n % 100 >= 11 && n % 100 <= 13 ? 'th' : ['th', 'st', 'nd', 'rd'][n % 10] || 'th'
  return n + ending
}
