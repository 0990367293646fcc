// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// One device: what it is to run, and what it runs.

import { html, nothing } from '../vendor/lit-html.js'
import { trigger } from '../actions.js'
import { Problem, appPath, get } from '../api.js'
import { listen } from '../events.js'
import { go } from '../go.js'
import { Loaded, later, problem, tick } from '../page.js'
import { user, why } from '../state.js'
import { replace, table } from '../parts/builds.js'
import { description, labels } from '../parts/description.js'
import { history } from '../parts/pictures.js'
import { drift, drifts, status } from '../parts/status.js'
import { time } from '../parts/time.js'

/** @typedef {import('../../types').Build} Build */
/** @typedef {import('../../types').Drift} Drift */
/** @typedef {import('../../types').DrogueObject} DrogueObject */

/** @param {import('../page.js').At} at @returns {import('../page.js').Page} */
export function open(at) {
  const [app] = at.params, name = at.query.get('device') || ''
  const device = new Loaded(at, () => get(appPath(app) + '/device', { name }, at.signal))
  const builds = new Loaded(at, () => get('/builds', { application: app, device: name, limit: 30 }, at.signal))
  const load = () => {
    device.load()
    builds.load()
  }
  const soon = later(load, 1000)
  load()
  // Builds of its application change what it is to run, too.
  listen({ application: app }, {
    snapshot: () => { if (device.value) soon() },
    build: b => {
      if (b.device === name && (!builds.value || !replace(builds.value, b)) || b.completed) soon()
      at.redraw()
    },
    gone: soon,
    poll: soon,
  }, at.signal)
  tick(at, () => builds.value?.some((/** @type {Build} */ b) => b.started && !b.completed) || device.value?.drift?.state === 'Updating')
  const edit = `${appPath(app)}/edit?device=${encodeURIComponent(name)}`

  /** @param {DrogueObject} d */
  function buttons(d) {
    const own = d.builds && !d.inherits, may = own && !d.violations?.length && user()?.mayTrigger
    const reason = !own ? 'It has no description of its own' : d.violations?.length ? 'Its description is wrong' : why('build')
    return html`<div class="buttons"><a class="button" href=${edit}>Edit</a>
      <button class="primary" ?disabled=${!may} title=${may ? nothing : reason}
        @click=${async () => { const id = await trigger({ app, device: name }); if (id) go(`/builds/${id}`) }}>Build</button></div>`
  }

  /** @param {Drift} d */
  const firmware = d => html`<dl class="facts">
    <dt>State</dt><dd>${drift(d)} ${d.since ? html`<span class="quiet">since ${time(d.since)}</span>` : nothing}
      ${d.state === 'Updating' ? html`<progress max="100" value=${d.progress || 0} aria-label="Update"></progress> <span class="num">${Math.floor(d.progress || 0)} %</span>` : nothing}
      ${d.message ? html`<div class="quiet">${d.message}</div>` : nothing}</dd>
    <dt>Runs</dt><dd>${d.running || html`<span class="quiet">not known</span>`}${d.target && d.target !== d.running ? html` <span class="quiet">→</span> ${d.target}` : nothing}</dd>
    <dt>Delivered</dt><dd>${d.wanted || html`<span class="quiet">not known</span>`}</dd>
    ${d.built ? html`<dt>Newest build</dt><dd>${d.built}</dd>` : nothing}
  </dl>`

  return {
    title: () => device.value ? `${name} (${drifts[/** @type {Drift} */ (device.value.drift).state]})` : name,
    reload: load,
    draw: () => {
      const d = /** @type {DrogueObject | undefined} */ (device.value)
      if (device.error instanceof Problem && device.error.status === 404) return html`<h1 tabindex="-1">${name}</h1>${problem(device.error)}`
      return html`
      <p class="crumbs"><a href=${appPath(app)}>${app}</a> / <a href="${appPath(app)}/devices">devices</a></p>
      <div class="head"><h1 tabindex="-1">${name}</h1>${d ? buttons(d) : nothing}</div>
      ${device.draw(d => html`
        <p class="summary">${d.newest ? status(d.newest) : html`<span class="quiet">never built</span>`}
          ${d.inherits ? html`<span>by the description of <a href=${appPath(app)}>${app}</a></span>` : nothing} ${labels(d.labels)}</p>
        <h2>Firmware</h2>${firmware(d.drift)}`)}
      ${builds.value ? history(builds.value) : nothing}
      <h2>Builds</h2>
      ${builds.draw(list => list.length ? table(list, { label: 'Builds' }) : html`<p class="empty">${d?.inherits
        ? html`It has no builds of its own: it runs those of <a href=${appPath(app)}>${app}</a>.` : 'It was never built.'}</p>`)}
      <h2>Description</h2>
      ${device.draw(d => description(d, edit))}`
    },
  }
}
