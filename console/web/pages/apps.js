// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// The applications that somebody may read.

import { html, nothing } from '../vendor/lit-html.js'
import { repeat } from '../vendor/directives/repeat.js'
import { appPath, get } from '../api.js'
import { listen } from '../events.js'
import { buildPath, count, short } from '../format.js'
import { go } from '../go.js'
import { Loaded, later } from '../page.js'
import { labels } from '../parts/description.js'
import { icon } from '../parts/icon.js'
import { status } from '../parts/status.js'
import { time } from '../parts/time.js'
import { empty } from './overview.js'

/** @typedef {import('../../types').DrogueObject} DrogueObject */
/** @typedef {import('../../types').Fleet} Fleet */

/** How many applications are shown at first, and have their devices counted. */
const pageSize = 100

/** @param {import('../page.js').At} at @returns {import('../page.js').Page} */
export function open(at) {
  let query = at.query, shown = pageSize
  /** @type {Map<string, Fleet>} */
  const fleets = new Map()
  const apps = new Loaded(at, () => get('/apps', { labels: query.get('labels') }, at.signal))
  const soon = later(() => apps.load(), 1000)
  const load = () => apps.load().then(countDevices)
  load()
  listen({}, { snapshot: () => { if (apps.value) soon() }, build: soon, gone: soon, poll: soon }, at.signal)

  async function countDevices() {
    const queue = visible().slice(0, shown).filter(a => !fleets.has(a.name))
    const worker = async () => {
      for (let a = queue.shift(); a && !at.signal.aborted; a = queue.shift()) {
        const f = await get(appPath(a.name) + '/fleet', undefined, at.signal).catch(() => undefined)
        if (f) fleets.set(a.name, f)
        at.redraw()
      }
    }
    await Promise.all([worker(), worker(), worker()])
  }

  function visible() {
    let list = /** @type {DrogueObject[]} */ (apps.value || [])
    if (query.get('show') === 'outOfDate') list = list.filter(a => a.outOfDate || fleets.get(a.name)?.outOfDate)
    const q = query.get('q')?.toLowerCase()
    return q ? list.filter(a => a.name.toLowerCase().includes(q)) : list
  }

  /** @param {string} name */
  const set = name => (/** @type {Event} */ e) => {
    const q = new URLSearchParams(query), input = /** @type {HTMLInputElement} */ (e.target)
    const value = input.type === 'checkbox' ? (input.checked ? 'outOfDate' : '') : input.value.trim()
    if (value) q.set(name, value)
    else q.delete(name)
    go('/apps' + (q.size ? '?' + q : ''))
  }

  /** @param {DrogueObject} a */
  function row(a) {
    const f = fleets.get(a.name), b = a.newest
    return html`<tr role="row">
      <td role="cell" class="c-object"><a class="row" href=${appPath(a.name)}>${a.name}</a> ${labels(a.labels)}</td>
      <td role="cell" data-name="By">${a.kind || html`<span class="quiet">no firmware</span>`}</td>
      <td role="cell">${b ? html`${status(b)} <a href=${buildPath(b)}><code>${short(b.id)}</code></a> <span class="quiet">${time(b.requested)}</span>`
        : a.builds ? html`<span class="quiet">never built</span>` : nothing}</td>
      <td role="cell">${a.violations?.length ? html`<span class="state bad">${icon('failed')}<span>${count(a.violations.length, 'mistake')}</span></span>`
        : a.outOfDate ? html`<span class="state odd">${icon('warning')}<span>not built yet</span></span>` : a.builds ? html`<span class="quiet">built</span>` : nothing}</td>
      <td role="cell" class="num" data-name="In sync">${f ? (f.devices ? html`<a href="${appPath(a.name)}/devices">${f.states.InSync.toLocaleString()} of ${f.devices.toLocaleString()}</a>`
        : html`<span class="quiet">none</span>`) : nothing}</td>
    </tr>`
  }

  return {
    title: () => 'Applications',
    reload: load,
    update: to => {
      const other = to.get('labels') !== query.get('labels')
      query = to
      if (other) load()
      else countDevices()
    },
    draw: () => html`<h1 tabindex="-1">Applications</h1>
      <div class="filters" role="group" aria-label="Filters">
        <label class="search">${icon('search')}<span class="unseen">Part of the name</span><input type="search" data-search placeholder="Name"
          .value=${query.get('q') || ''} @change=${set('q')} autocomplete="off" spellcheck="false"></label>
        <label>Labels <input placeholder="zone=north,!test" .value=${query.get('labels') || ''} @change=${set('labels')} autocomplete="off" spellcheck="false"></label>
        <label><input type="checkbox" .checked=${query.get('show') === 'outOfDate'} @change=${set('show')}> Not built yet</label>
      </div>
      ${apps.draw(() => {
        const list = visible()
        if (!list.length) return query.size ? html`<p class="empty">No application is like that. <a href="/apps">Show all</a>.</p>` : empty(apps.value || [])
        return html`<table role="table" aria-label="Applications">
          <thead role="rowgroup"><tr role="row"><th role="columnheader">Application</th><th role="columnheader">Delivered by</th>
            <th role="columnheader">Newest build</th><th role="columnheader">Description</th><th role="columnheader">Devices in sync</th></tr></thead>
          <tbody role="rowgroup">${repeat(list.slice(0, shown), (/** @type {DrogueObject} */ a) => a.name, row)}</tbody></table>
          <p class="quiet">${count(list.length, 'application')}</p>
          ${list.length > shown ? html`<button @click=${() => { shown += pageSize; countDevices(); at.redraw() }}>Show more</button>` : nothing}`
      })}`,
  }
}
