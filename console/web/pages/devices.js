// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// The devices of an application, a page at a time.

import { html, nothing } from '../vendor/lit-html.js'
import { repeat } from '../vendor/directives/repeat.js'
import { appPath, get, page } from '../api.js'
import { buildPath, objectPath, short } from '../format.js'
import { go } from '../go.js'
import { Loaded, tick } from '../page.js'
import { labels } from '../parts/description.js'
import { icon } from '../parts/icon.js'
import { driftBar } from '../parts/pictures.js'
import { drift, drifts, status } from '../parts/status.js'

/** @typedef {import('../../types').DrogueObject} DrogueObject */

const pageSize = 100

/** @param {import('../page.js').At} at @returns {import('../page.js').Page} */
export function open(at) {
  const [app] = at.params
  let query = at.query
  const path = appPath(app) + '/devices'
  const devices = new Loaded(at, () => page(path, {
    state: query.getAll('state'), labels: query.get('labels'), cursor: query.get('cursor'), limit: pageSize,
  }, at.signal))
  const fleet = new Loaded(at, () => get(appPath(app) + '/fleet', undefined, at.signal))
  devices.load()
  fleet.load()
  // What devices run is not in the events of builds.
  let ticks = 0
  tick(at, () => {
    if (++ticks % 15 === 0 && !query.has('cursor')) devices.load()
    return false
  })

  /** @param {(q: URLSearchParams) => void} change */
  function filter(change) {
    const q = new URLSearchParams(query)
    q.delete('cursor')
    change(q)
    go(path + (q.size ? '?' + q : ''))
  }

  /** @param {SubmitEvent} e */
  const find = e => {
    e.preventDefault()
    const { value } = /** @type {HTMLInputElement} */ (/** @type {HTMLFormElement} */ (e.target).querySelector('input'))
    if (value.trim()) go(objectPath(app, value.trim()))
  }

  /** @param {DrogueObject} d */
  const row = d => html`<tr role="row">
    <td role="cell" class="c-object"><a class="row" href=${objectPath(app, d.name)}>${d.name}</a> ${labels(d.labels)}</td>
    <td role="cell">${d.drift ? drift(d.drift) : nothing} ${d.drift?.state === 'Updating' ? html`<span class="num">${Math.floor(d.drift.progress || 0)} %</span>` : nothing}</td>
    <td role="cell" data-name="Runs">${d.drift?.running || html`<span class="quiet">–</span>`}</td>
    <td role="cell" data-name="Delivered">${d.drift?.wanted || html`<span class="quiet">–</span>`}</td>
    <td role="cell">${d.inherits ? html`<span class="quiet">of ${app}</span>` : d.newest ? html`${status(d.newest)}
      <a href=${buildPath(d.newest)}><code>${short(d.newest.id)}</code></a>` : html`<span class="quiet">${d.builds ? 'never built' : '–'}</span>`}</td>
  </tr>`

  return {
    title: () => `Devices of ${app}`,
    reload: () => devices.load(),
    update: to => {
      query = to
      devices.load()
    },
    draw: () => html`
      <p class="crumbs"><a href=${appPath(app)}>${app}</a></p>
      <h1 tabindex="-1">Devices</h1>
      ${fleet.value ? driftBar(app, fleet.value) : html`<div class="drift loading"></div>`}
      <div class="filters" role="group" aria-label="Filters">
        <div class="chips">${Object.entries(drifts).map(([state, text]) => {
          const on = query.getAll('state')
          return html`<button aria-pressed=${on.includes(state)} @click=${() => filter(q => {
            q.delete('state')
            for (const s of Object.keys(drifts)) if (s === state ? !on.includes(s) : on.includes(s)) q.append('state', s)
          })}>${text}</button>`
        })}</div>
        <label>Labels <input placeholder="zone=north,!test" .value=${query.get('labels') || ''} autocomplete="off" spellcheck="false"
          @change=${(/** @type {Event} */ e) => filter(q => {
            const value = /** @type {HTMLInputElement} */ (e.target).value.trim()
            if (value) q.set('labels', value)
            else q.delete('labels')
          })}></label>
        <form @submit=${find}><label class="search">${icon('search')}<span class="unseen">Name of a device</span>
          <input type="search" data-search placeholder="Name of a device" autocomplete="off" spellcheck="false"></label></form>
        ${query.size ? html`<a href=${path}>Clear</a>` : nothing}
      </div>
      <div class=${devices.loading && devices.value ? 'stale' : ''}>${devices.draw(({ list, next }) => {
        const q = new URLSearchParams(query)
        q.set('cursor', next || '')
        return html`${list.length ? html`<table role="table" aria-label="Devices">
          <thead role="rowgroup"><tr role="row"><th role="columnheader">Device</th><th role="columnheader">State</th><th role="columnheader">Runs</th>
            <th role="columnheader">Delivered</th><th role="columnheader">Newest build</th></tr></thead>
          <tbody role="rowgroup">${repeat(list, (/** @type {DrogueObject} */ d) => d.name, row)}</tbody></table>`
          : html`<p class="empty">${query.size ? html`No device ${next ? 'of those looked at ' : ''}is like that.` : 'It has no devices.'}</p>`}
        <nav class="pages" aria-label="More devices">${query.has('cursor') ? html`<a href=${path}>First page</a>` : nothing}
          ${next ? html`<a href="${path}?${q}" rel="next">Next page</a>` : nothing}</nav>`
      })}</div>`,
  }
}
