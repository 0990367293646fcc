// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Changed lines, with their signs for those who cannot see colours.

import { html } from '../vendor/lit-html.js'
import { diff } from '../diff.js'

/** @type {Record<string, string>} */
const kinds = { '+': 'added', '-': 'removed', '@': 'at' }

/** A text in the unified format. @param {string} text */
export const changes = text => html`<pre class="diff" tabindex="0">${text.replace(/\n$/, '').split('\n')
  .filter(l => !l.startsWith('---') && !l.startsWith('+++'))
  .map(l => html`<span class=${kinds[l[0]] || ''}>${l}\n</span>`)}</pre>`

/** The changes between two texts, with a few lines around them. @param {string} from @param {string} to */
export function between(from, to) {
  const all = diff(from, to), near = 3
  const lines = all.map((l, i) => ({ ...l, shown: all.slice(Math.max(0, i - near), i + near + 1).some(o => o.kind !== ' ') }))
  if (!lines.some(l => l.kind !== ' ')) return html`<p class="quiet">Nothing has changed.</p>`
  return html`<pre class="diff" tabindex="0">${lines.map((l, i) => l.shown
    ? html`<span class=${kinds[l.kind] || ''}>${l.kind} ${l.text}\n</span>`
    : i === 0 || lines[i - 1].shown ? html`<span class="at">⋯\n</span>` : '')}</pre>`
}
