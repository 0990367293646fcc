// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// One application: how it is built, what was built, and what its devices run.

import { html, nothing } from '../vendor/lit-html.js'
import { trigger } from '../actions.js'
import { Problem, appPath, get, page } from '../api.js'
import { listen } from '../events.js'
import { count } from '../format.js'
import { go } from '../go.js'
import { Loaded, later, problem, tick } from '../page.js'
import { user, why } from '../state.js'
import { replace, table } from '../parts/builds.js'
import { description, labels } from '../parts/description.js'
import { driftBar, history } from '../parts/pictures.js'
import { status, word } from '../parts/status.js'
import { announce } from '../parts/toast.js'

/** @typedef {import('../../types').Build} Build */
/** @typedef {import('../../types').DrogueObject} DrogueObject */

/** How long the counts of a fleet are good for, in ms. */
const counted = 30_000

/** @param {import('../page.js').At} at @returns {import('../page.js').Page} */
export function open(at) {
  const [name] = at.params
  let query = at.query
  const app = new Loaded(at, () => get(appPath(name), undefined, at.signal))
  const fleet = new Loaded(at, () => get(appPath(name) + '/fleet', undefined, at.signal))
  const builds = new Loaded(at, () => page('/builds', { application: name, devices: query.has('devices'), limit: 30 }, at.signal))
  const own = new Loaded(at, () => get('/builds', { application: name, limit: 30 }, at.signal))
  const load = () => {
    app.load()
    builds.load()
    own.load()
  }
  const soon = later(load, 1000)
  load()
  fleet.load()
  listen({ application: name }, {
    snapshot: () => { if (app.value) soon() }, // what has ended meanwhile is not in it
    build: b => {
      const before = builds.value?.list.find((/** @type {Build} */ o) => o.id === b.id)
      if (b.device && !query.has('devices')) return
      if (before?.status !== b.status) announce(`${b.device || b.app}: ${word(b)}`)
      if (!builds.value || !replace(builds.value.list, b) || b.completed) soon()
      at.redraw()
    },
    gone: soon,
    poll: soon,
  }, at.signal)
  const counting = setInterval(() => { if (!document.hidden) fleet.load() }, counted)
  at.signal.addEventListener('abort', () => clearInterval(counting))
  tick(at, () => builds.value?.list.some((/** @type {Build} */ b) => b.started && !b.completed) || false)

  /** @param {DrogueObject} a */
  const buttons = a => {
    const may = a.builds && !a.violations?.length && user()?.mayTrigger
    const reason = !a.builds ? 'It is not described how it is built' : a.violations?.length ? 'Its description is wrong' : why('build')
    return html`<div class="buttons">
      <a class="button" href="${appPath(name)}/edit">Edit</a>
      <button class="primary" ?disabled=${!may} title=${may ? nothing : reason}
        @click=${async () => { const id = await trigger({ app: name }); if (id) go(`/builds/${id}`) }}>Build</button></div>`
  }

  return {
    title: () => app.value?.newest ? `${name}: ${word(app.value.newest)}` : name,
    reload: load,
    update: to => {
      query = to
      builds.load()
    },
    draw: () => {
      if (app.error instanceof Problem && app.error.status === 404) return html`<h1 tabindex="-1">${name}</h1>${problem(app.error)}`
      const a = /** @type {DrogueObject | undefined} */ (app.value)
      return html`
      <div class="head"><h1 tabindex="-1">${name}</h1>${a ? buttons(a) : nothing}</div>
      ${app.draw(a => html`
        <p class="summary">${a.newest ? status(a.newest) : html`<span class="quiet">never built</span>`}
          ${a.kind ? html`<span>delivered by ${a.kind === 'hawkbit' ? 'hawkBit' : 'the OCI registry'}</span>` : nothing} ${labels(a.labels)}</p>`)}
      ${own.value ? history(own.value) : nothing}
      <h2>Devices</h2>
      ${fleet.draw(f => html`${driftBar(name, f)}
        ${f.devices ? html`<p><a href="${appPath(name)}/devices">${count(f.devices, 'device')}</a>${f.own ? html`, ${f.own.toLocaleString()} of
          ${f.own === 1 ? 'which has a description' : 'them have descriptions'} of ${f.own === 1 ? 'its' : 'their'} own${f.failed ? `, ${f.failed} failed to build` : ''}` : nothing}</p>` : nothing}`)}
      <div class="head"><h2>Builds</h2>
        <label><input type="checkbox" .checked=${query.has('devices')} @change=${(/** @type {Event} */ e) =>
          go(appPath(name) + (/** @type {HTMLInputElement} */ (e.target).checked ? '?devices' : ''))}> and those of its devices</label></div>
      ${builds.draw(({ list, total }) => list.length ? html`${table(list, { object: query.has('devices'), label: 'Builds' })}
        ${total > list.length ? html`<p><a href="/builds?application=${encodeURIComponent(name)}">All ${total.toLocaleString()}</a></p>` : nothing}`
        : html`<p class="empty">It was never built.</p>`)}
      <h2>Description</h2>
      ${app.draw(a => description(a, `${appPath(name)}/edit`))}`
    },
  }
}
