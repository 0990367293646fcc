// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// All builds, by what the query of the URL selects.

import { html, nothing } from '../vendor/lit-html.js'
import { get, page } from '../api.js'
import { trigger } from '../actions.js'
import { listen } from '../events.js'
import { count, objectName } from '../format.js'
import { go } from '../go.js'
import { Loaded, sparing, tick } from '../page.js'
import { mayChoose, replace, table } from '../parts/builds.js'
import { icon } from '../parts/icon.js'
import { confirm } from '../parts/dialog.js'
import { announce } from '../parts/toast.js'
import { word } from '../parts/status.js'
import { empty } from './overview.js'

/** @typedef {import('../../types').Build} Build */

const pageSize = 50
const phases = ['Queued', 'Running', 'Succeeded', 'Failed', 'Cancelled']
/** What has had it built, by what the API calls it. */
const causes = { api: 'a call', change: 'a change', push: 'a push', rerun: 'a rerun', publish: 'publishing again' }
/** @type {Record<string, [string, number]>} */
const spans = { '1h': ['the last hour', 3600_000], '1d': ['the last day', 24 * 3600_000], '7d': ['the last week', 7 * 24 * 3600_000] }

/** The query of the API for that of the URL. @param {URLSearchParams} query */
function asked(query) {
  const q = new URLSearchParams(query), span = spans[q.get('since') || '']
  if (span) q.set('since', new Date(Date.now() - span[1]).toISOString())
  if (q.has('application') && !q.has('device')) q.set('devices', 'true')
  q.set('limit', String(pageSize))
  return q
}

/** @param {import('../page.js').At} at @returns {import('../page.js').Page} */
export function open(at) {
  let query = at.query
  /** @type {Set<string>} */
  const chosen = new Set()
  /** The ids of builds that are not on the page. @type {Set<string>} */
  let more = new Set()
  const builds = new Loaded(at, async () => {
    const read = await page('/builds', asked(query), at.signal)
    more = new Set()
    if (!query.size) { // what a replica of the server has not heard of yet
      const newer = (builds.value?.list || []).filter((/** @type {Build} */ b) => b.requested > (read.list[0]?.requested || ''))
      read.list.unshift(...newer)
    }
    return read
  })
  const apps = new Loaded(at, () => get('/apps', undefined, at.signal))
  const soon = sparing(() => builds.load(), 1000)
  builds.load()
  apps.load()

  listen({}, {
    snapshot: list => {
      for (const b of list) changed(b)
      if (builds.value) soon()
      at.redraw()
    },
    build: b => {
      changed(b)
      at.redraw()
    },
    gone: id => {
      if (!builds.value?.list.some((/** @type {Build} */ b) => b.id === id)) return
      builds.value.list = builds.value.list.filter((/** @type {Build} */ b) => b.id !== id)
      soon()
    },
    poll: () => builds.load(),
  }, at.signal)
  tick(at, () => builds.value?.list.some((/** @type {Build} */ b) => b.started && !b.completed) || false)

  /** @param {Build} b */
  function changed(b) {
    const list = /** @type {Build[]} */ (builds.value?.list || []), before = list.find(o => o.id === b.id)
    if (before) {
      if (before.status !== b.status) {
        announce(`${objectName(b)}: ${word(b)}`)
        if (query.has('status')) soon()
      }
      replace(list, b)
    } else if (builds.value && (!list.length || b.requested > list[0].requested)) {
      if (query.has('cursor')) {
        more.add(b.id)
        return
      }
      if (!query.size) list.unshift(b) // with filters, the server says whether it is one of them
      soon()
    }
  }

  /** Changes the filters. @param {(q: URLSearchParams) => void} change */
  function filter(change) {
    const q = new URLSearchParams(query)
    q.delete('cursor')
    change(q)
    go('/builds' + (q.size ? '?' + q : ''))
  }

  /** @param {string} name */
  const set = name => (/** @type {Event} */ e) => filter(q => {
    const { value } = /** @type {HTMLInputElement} */ (e.target)
    if (value) q.set(name, value.trim())
    else q.delete(name)
    if (name === 'application') q.delete('device')
  })

  const filters = () => {
    const on = query.getAll('status'), since = query.get('since') || ''
    return html`<div class="filters" role="group" aria-label="Filters">
      <div class="chips">${phases.map(p => html`<button aria-pressed=${on.includes(p)} @click=${() => filter(q => {
        q.delete('status')
        for (const s of phases) if (s === p ? !on.includes(s) : on.includes(s)) q.append('status', s)
      })}>${p}</button>`)}</div>
      <label>Application <input list="apps" .value=${query.get('application') || ''} @change=${set('application')} autocomplete="off" spellcheck="false"></label>
      <datalist id="apps">${(apps.value || []).map((/** @type {{name: string}} */ a) => html`<option value=${a.name}></option>`)}</datalist>
      ${query.get('device') ? html`<span class="chip">${query.get('device')} <button class="bare" aria-label="Of all devices"
        @click=${() => filter(q => q.delete('device'))}>${icon('close')}</button></span>` : nothing}
      <label>Asked for by <select .value=${query.get('trigger') || ''} @change=${set('trigger')}>
        <option value="">anything</option>${Object.entries(causes).map(([name, text]) => html`<option value=${name} ?selected=${query.get('trigger') === name}>${text}</option>`)}</select></label>
      <label>In <select .value=${since} @change=${set('since')}>
        <option value="">all time</option>${Object.entries(spans).map(([name, [text]]) => html`<option value=${name} ?selected=${since === name}>${text}</option>`)}
        ${since && !spans[since] ? html`<option value=${since} selected>since ${since}</option>` : nothing}</select></label>
      <label class="search">${icon('search')}<span class="unseen">Text in the builds</span><input type="search" data-search placeholder="Text in the builds"
        .value=${query.get('q') || ''} @change=${set('q')} autocomplete="off" spellcheck="false"></label>
      ${query.size ? html`<a href="/builds">Clear</a>` : nothing}
    </div>`
  }

  async function triggerChosen() {
    const list = /** @type {Build[]} */ (builds.value?.list || []).filter((/** @type {Build} */ b) => chosen.has(b.id))
    const objects = new Map(list.map(b => [objectName(b), b]))
    if (!await confirm(`Build ${count(objects.size, 'object')}?`, [...objects.keys()].join(', '), 'Build them')) return
    for (const b of objects.values()) await trigger(b)
    chosen.clear()
    at.redraw()
  }

  /** @param {{list: Build[], total: number, next: string | null}} read */
  function results({ list, total, next }) {
    const q = new URLSearchParams(query)
    q.delete('cursor')
    const first = '/builds' + (q.size ? '?' + q : '')
    if (!list.length && !query.size) return empty(apps.value || [])
    if (!list.length) return html`<p class="empty">No build is like that. <a href="/builds">Show all</a>.</p>`
    q.set('cursor', next || '')
    return html`
      ${more.size ? html`<p class="bar"><a href=${first}>${count(more.size, 'new build')}</a></p>` : nothing}
      ${table(list, { object: true, label: 'Builds', ...(mayChoose() ? { chosen, choose: at.redraw } : {}) })}
      <nav class="pages" aria-label="More builds"><span class="quiet">${count(total, 'build')}</span>
        ${query.has('cursor') ? html`<a href=${first}>Newest</a>` : nothing}
        ${next ? html`<a href="/builds?${q}" rel="next">Older</a>` : nothing}</nav>`
  }

  return {
    title: () => {
      const what = [query.getAll('status').join(', '), query.get('application'), query.get('q')].filter(Boolean).join(' · ')
      return what ? `Builds: ${what}` : 'Builds'
    },
    reload: () => builds.load(),
    update: to => {
      query = to
      chosen.clear()
      builds.load()
    },
    draw: () => html`
      <div class="head"><h1 tabindex="-1">Builds</h1>
        ${chosen.size ? html`<button class="primary" @click=${triggerChosen}>Build ${count(chosen.size, 'chosen one')} again</button>` : nothing}</div>
      ${filters()}
      <div class=${builds.loading && builds.value ? 'stale' : ''}>${builds.draw(results)}</div>`,
  }
}
