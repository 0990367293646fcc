// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// A table of builds, which becomes cards where it is narrow.

import { html, nothing } from '../vendor/lit-html.js'
import { repeat } from '../vendor/directives/repeat.js'
import { cancel, command, publish, rerun, trigger } from '../actions.js'
import { get } from '../api.js'
import { buildPath, duration, objectName, objectPath, short, took } from '../format.js'
import { user, why } from '../state.js'
import { copyText } from './copy.js'
import { icon } from './icon.js'
import { failed } from './toast.js'
import { status } from './status.js'
import { time } from './time.js'

/** @typedef {import('../../types').Build} Build */

/**
 * @typedef {object} Options
 * @property {boolean} [object] whether the builds are of several objects
 * @property {Set<string>} [chosen] the ids of those that are chosen
 * @property {() => void} [choose] is called when they change
 * @property {string} label what the table is
 */

/** What has had it built. @param {Build} b */
export function by(b) {
  switch (b.cause) {
    case 'change': return 'change'
    case 'push': return 'push'
    case 'publish': return html`publish${b.requester ? `, ${b.requester}` : ''}`
    case 'rerun': return html`rerun${b.requester ? `, ${b.requester}` : ''}`
    default: return b.requester || b.cause || ''
  }
}

/** What is built. @param {Build} b */
export const revision = b => html`${b.commit ? html`<code title=${b.commit}>${b.commit.slice(0, 7)}</code>` : nothing}
  ${b.source?.rev && !b.commit?.startsWith(b.source.rev) ? html`<span class="rev">${b.source.rev}</span>` : nothing}`

/** How long it took; how far it is, if it runs. @param {Build} b */
const progress = b => b.status === 'Running' && b.progress !== undefined
  ? html`<progress max="100" value=${b.progress} aria-label="Progress">${b.progress} %</progress> <span class="num">${Math.floor(b.progress)} %</span>`
  : html`<span class="num">${duration(took(b))}</span>`

/** @param {Build[]} list @param {Options} o */
export function table(list, o) {
  const { chosen, choose } = o
  return html`<table class="builds" role="table" aria-label=${o.label}>
    <thead role="rowgroup"><tr role="row">
      ${chosen ? html`<th role="columnheader" class="choice"><input type="checkbox" aria-label="Choose all"
        .checked=${list.length > 0 && list.every(b => chosen.has(b.id))} @change=${(/** @type {Event} */ e) => {
          for (const b of list) /** @type {HTMLInputElement} */ (e.target).checked ? chosen.add(b.id) : chosen.delete(b.id)
          choose?.()
        }}></th>` : nothing}
      <th role="columnheader" class="c-status">Status</th><th role="columnheader" class="c-id">Build</th>
      ${o.object ? html`<th role="columnheader" class="c-object">Object</th>` : nothing}
      <th role="columnheader" class="c-source">Source</th><th role="columnheader" class="c-by">By</th>
      <th role="columnheader" class="c-when">Asked for</th><th role="columnheader" class="c-took">Took</th>
      <th role="columnheader" class="c-version">Version</th><th role="columnheader" class="c-menu"><span class="unseen">Actions</span></th>
    </tr></thead>
    <tbody role="rowgroup">${repeat(list, b => b.id, b => html`<tr role="row">
      ${chosen ? html`<td role="cell" class="choice"><input type="checkbox" aria-label="Choose ${short(b.id)}" .checked=${chosen.has(b.id)}
        @change=${(/** @type {Event} */ e) => {
          /** @type {HTMLInputElement} */ (e.target).checked ? chosen.add(b.id) : chosen.delete(b.id)
          choose?.()
        }}></td>` : nothing}
      <td role="cell" class="c-status">${status(b)}</td>
      <td role="cell" class="c-id"><a class="row" href=${buildPath(b)} title=${b.id}><code>${short(b.id)}</code></a></td>
      ${o.object ? html`<td role="cell" class="c-object"><a href=${objectPath(b.app, b.device)}>${objectName(b)}</a></td>` : nothing}
      <td role="cell" class="c-source">${revision(b)}</td>
      <td role="cell" class="c-by" data-name="By">${by(b)}</td>
      <td role="cell" class="c-when">${time(b.requested)}</td>
      <td role="cell" class="c-took">${progress(b)}</td>
      <td role="cell" class="c-version">${b.artifact?.version || ''}</td>
      <td role="cell" class="c-menu">${menu(b)}</td>
    </tr>`)}</tbody>
  </table>`
}

/** What the caller may ask for, of the builds whose menu was opened. @type {Map<string, string[]>} */
const allowed = new Map()
/** The build whose menu is open: those of all others are not drawn. */
let opened = ''

/** @param {Build} b */
function menu(b) {
  const actions = allowed.get(b.id)
  /** @param {string} action @param {string} label @param {() => void} act */
  const item = (action, label, act) => html`<button class="item" ?disabled=${!actions?.includes(action)}
    title=${actions && !actions.includes(action) ? why(action) : nothing} @click=${act}>${label}</button>`
  return html`<details class="menu right" @toggle=${async (/** @type {Event} */ e) => {
    const details = /** @type {HTMLDetailsElement} */ (e.currentTarget)
    const redraw = () => details.dispatchEvent(new CustomEvent('ajour:redraw', { bubbles: true }))
    if (!details.open) return
    opened = b.id
    redraw()
    try {
      allowed.set(b.id, (await get(buildPath(b))).actions || [])
    } catch (error) {
      failed(error)
    }
    redraw()
  }}><summary aria-label="Actions of ${short(b.id)}">${icon('more')}</summary>
    ${opened !== b.id ? nothing : html`<div class="sheet" @click=${(/** @type {Event} */ e) => /** @type {HTMLElement} */ (e.currentTarget).closest('details')?.removeAttribute('open')}>
      ${b.completed ? html`
        ${item('rerun', 'Rerun', () => rerun(b))}${item('publish', 'Publish again', () => publish(b))}
        ${item('trigger', 'Build the newest source', () => trigger(b))}` : item('cancel', 'Cancel', () => cancel(b))}
      <button class="item" @click=${() => copyText(b.id, 'the id')}>Copy the id</button>
      <button class="item" @click=${() => copyText(command(b), 'the command')}>Copy the command</button>
    </div>`}</details>`
}

export const mayChoose = () => user()?.mayTrigger === true

/**
 * Puts a changed build into a list that has it. Reports whether the list has it.
 * @param {Build[]} list
 * @param {Build} b
 */
export function replace(list, b) {
  const at = list.findIndex(other => other.id === b.id)
  if (at >= 0) list[at] = b
  return at >= 0
}
