// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// One build: its state, what to do about it, its log, and what it has made.

import { html, nothing } from '../vendor/lit-html.js'
import { repeat } from '../vendor/directives/repeat.js'
import { cancel, publish, rerun, save, trigger } from '../actions.js'
import { Problem, get } from '../api.js'
import { listen, sleep } from '../events.js'
import { buildPath, duration, exact, objectName, objectPath, short, size, took } from '../format.js'
import { go } from '../go.js'
import { Log } from '../log.js'
import { Loaded, later, problem, tick } from '../page.js'
import { why } from '../state.js'
import { yaml } from '../yaml.js'
import { by, revision } from '../parts/builds.js'
import { copy } from '../parts/copy.js'
import { remarks } from '../parts/description.js'
import { changes } from '../parts/changes.js'
import { icon } from '../parts/icon.js'
import { pipeline } from '../parts/pictures.js'
import { status, word } from '../parts/status.js'
import { time } from '../parts/time.js'
import { announce } from '../parts/toast.js'

/** @typedef {import('../../types').Build} Build */

const tabs = { log: 'Log', artifact: 'Artifact', description: 'Description', details: 'Details' }
/** How long a build that was asked for may take to appear, in ms. */
const appears = 15_000

/** @param {import('../page.js').At} at @returns {import('../page.js').Page} */
export function open(at) {
  const [id] = at.params
  let query = at.query
  const began = Date.now()
  /** @type {Log | undefined} */
  let log
  const of = { application: query.get('application'), device: query.get('device') }
  const build = new Loaded(at, async () => {
    for (;;) {
      try {
        const b = /** @type {Build} */ (await get(`/builds/${encodeURIComponent(id)}`, of, at.signal))
        if (b.id !== id) go(buildPath(b) + location.hash, true) // it was short
        if (log) log.sync(b)
        else log = new Log(at, b)
        return b
      } catch (error) {
        if (!(error instanceof Problem) || error.status !== 404 || Date.now() - began > appears || id.length < 36) throw error
        await sleep(500, at.signal)
      }
    }
  })
  const compared = new Loaded(at, () => get(`/builds/${build.value?.id}/diff`, { with: query.get('with') }, at.signal))
  const described = new Loaded(at, () => get(`/builds/${build.value?.id}`, { ...of, description: true }, at.signal))
  const others = new Loaded(at, () => get('/builds', { application: build.value?.app, device: build.value?.device, limit: 50 }, at.signal))
  const soon = later(() => build.load(), 300)

  build.load().then(() => {
    const b = build.value
    if (!b) return
    compare()
    if (b.rejected) return
    listen({ build: b.id }, {
      snapshot: ([now]) => { if (now) changed(now) },
      build: changed,
      gone: () => build.load(),
      poll: () => build.load(),
    }, at.signal)
  })
  tick(at, () => Boolean(build.value && !build.value.completed))

  /** @param {Build} now */
  function changed(now) {
    const before = build.value
    if (!before) return
    if (before.reason !== now.reason) announce(`${objectName(now)}: ${word(now)}`)
    // What an event has not, it is not: but for what a single build says besides.
    const { actions, recorded, meaning, remedy, supersededBy, supersedes } = before
    build.value = { actions, recorded, meaning, remedy, supersededBy, supersedes, ...now }
    log?.sync(build.value)
    // What the caller may ask for, and what the object shows, is not in an event.
    if (before.status !== now.status || before.reason !== now.reason || now.completed && !before.recorded) soon()
    at.redraw()
  }

  const tab = () => /** @type {keyof typeof tabs} */ (Object.keys(tabs).includes(query.get('tab') || '') ? query.get('tab') : 'log')

  function compare() {
    if (tab() !== 'description' || !build.value) return
    if (!described.value) described.load()
    others.load().then(() => {
      if (query.get('with') || earlier().some(o => o.descriptionHash !== build.value?.descriptionHash)) compared.load()
      else compared.value = null
      at.redraw()
    })
  }

  /** The builds of the object before this one. */
  const earlier = () => /** @type {Build[]} */ (others.value || []).filter(o => o.requested < (build.value?.requested || '') && !o.rejected)

  /** @param {Build} b */
  const head = b => {
    const now = took(b)
    return html`
      <p class="crumbs"><a href=${objectPath(b.app)}>${b.app}</a>${b.device ? html` / <a href=${objectPath(b.app, b.device)}>${b.device}</a>` : nothing}</p>
      <div class="head">
        <h1 tabindex="-1">Build <code>${short(b.id)}</code> ${copy(b.id, 'the id')}</h1>
        <div class="buttons">${buttons(b)}</div>
      </div>
      <p class="summary">${status(b)}
        ${b.started ? html`<span>${b.completed ? 'after' : 'for'} <span class="num">${duration(now)}</span>${b.estimate && !b.completed
          ? html` <span class="quiet">of about ${duration(b.estimate * 1000)}</span>` : nothing}</span>` : nothing}
        <span>${revision(b)}</span>
        <span>${by(b) === b.requester ? html`by ${by(b)}` : html`by a ${by(b)}`}</span>
        <span>${time(b.requested)}</span></p>
      ${b.completed ? nothing : html`<p class="progress"><progress max="100" value=${b.progress || 0} aria-label="Progress"></progress>
        <span class="num">${Math.floor(b.progress || 0)} %</span></p>`}
      ${remedy(b)}
      ${b.supersededBy ? html`<p class="note">${icon('ended')} <span>Build <a href="/builds/${b.supersededBy}">${short(b.supersededBy)}</a> took its place.</span></p>` : nothing}
      ${remarks([], b.warnings)}
      ${pipeline(b)}`
  }

  /** @param {Build} b */
  function buttons(b) {
    /** @param {string} action @param {string} label @param {() => void} act */
    const button = (action, label, act) => {
      const may = b.actions?.includes(action)
      return html`<button ?disabled=${!may} title=${may ? nothing : why(action)} @click=${act}>${label}</button>`
    }
    /** @param {Promise<string>} id */
    const follow = async id => { if (await id) go(`/builds/${await id}`) }
    if (!b.completed) return button('cancel', 'Cancel', () => cancel(b))
    return html`
      ${b.artifact?.reference ? html`<button @click=${() => save(`/builds/${b.id}/artifact`, {}, 'firmware.bin')}>Download firmware</button>` : nothing}
      ${b.artifact || b.actions?.includes('publish') ? button('publish', 'Publish again', () => follow(publish(b))) : nothing}
      ${b.rejected ? nothing : button('rerun', 'Rerun', () => follow(rerun(b)))}
      ${button('trigger', 'Build again', () => follow(trigger(b)))}`
  }

  /** @param {Build} b */
  function remedy(b) {
    if (b.status !== 'Failed') return b.message && b.completed && b.status !== 'Succeeded' ? html`<p class="note">${b.message}</p>` : nothing
    const line = log?.quotedAt()
    return html`<section class="remedy" aria-label="What to do">
      <h2>${b.meaning || b.reason} <span class="quiet">${b.reason}</span></h2>
      ${b.message ? html`<p class="message">${b.message} ${line ? html`<a href=${line.href}>line ${line.n}</a>` : nothing}</p>` : nothing}
      ${b.remedy ? html`<p><b>What to do:</b> ${b.remedy}.</p>` : nothing}
    </section>`
  }

  /** @param {Build} b */
  function content(b) {
    switch (tab()) {
      case 'artifact': return artifact(b)
      case 'description': return description(b)
      case 'details': return details(b)
      default: return b.rejected ? html`<p class="empty">It never began: its description was wrong.</p>` : log?.draw()
    }
  }

  /** @param {Build} b */
  function artifact(b) {
    const a = b.artifact
    if (!a) return html`<p class="empty">${b.completed ? 'It has published nothing.' : 'It has published nothing yet.'}</p>`
    const pull = `oras pull ${a.reference?.replace(/:[^/:]*$/, '')}@${a.digest}`
    const files = /** @type {{attachments?: string[]} | undefined} */ (described.value?.description)?.attachments || []
    return html`<dl class="facts">
      ${a.reference ? html`<dt>Reference</dt><dd><code>${a.reference}</code> ${copy(a.reference, 'the reference')}</dd>
        <dt>Digest</dt><dd><code>${a.digest}</code> ${copy(a.digest || '', 'the digest')}</dd>` : nothing}
      <dt>Version</dt><dd>${a.version}</dd>
      <dt>Size</dt><dd title="${a.size?.toLocaleString()} bytes">${size(a.size)}</dd>
      <dt>SHA-256</dt><dd><code>${a.sha256}</code> ${copy(a.sha256 || '', 'the checksum')}</dd>
      ${a.hawkbit ? html`<dt>hawkBit</dt><dd>controller ${a.hawkbit.controller}, distribution set ${a.hawkbit.distributionSet}${a.hawkbit.action
        ? `, action ${a.hawkbit.action}` : ', which it had already'}</dd>` : nothing}
      ${a.reference && files.length ? html`<dt>Further files</dt><dd>${files.map(name => html`<button @click=${() =>
        save(`/builds/${b.id}/artifact`, { attachment: name }, name.split('/').at(-1) || name)}>${name}</button> `)}</dd>` : nothing}
      ${a.reference ? html`<dt>Fetch it</dt><dd><code>${pull}</code> ${copy(pull, 'the command')}</dd>` : nothing}
    </dl>`
  }

  /** @param {Build} b */
  function description(b) {
    const list = earlier()
    return html`
      <h2>Changes</h2>
      ${list.length ? html`<p><label>Compared with <select @change=${(/** @type {Event} */ e) => {
        const q = new URLSearchParams(query), { value } = /** @type {HTMLSelectElement} */ (e.target)
        if (value) q.set('with', value)
        else q.delete('with')
        go(`/builds/${b.id}?${q}`)
      }}><option value="">the last one that was described otherwise</option>${list.map(o => html`<option value=${o.id}
        ?selected=${query.get('with') === o.id}>${short(o.id)}, ${exact(o.requested)}</option>`)}</select></label></p>` : nothing}
      ${compared.value === null
        ? html`<p class="quiet">There is no earlier build of the object with a different description.</p>`
        : compared.draw(d => html`
          ${d.commits.from !== d.commits.to && d.commits.from && d.commits.to ? html`<p>Commit <code>${d.commits.from.slice(0, 7)}</code> became
            <code>${d.commits.to.slice(0, 7)}</code>.</p>` : nothing}
          ${d.diff ? changes(d.diff) : html`<p class="quiet">The descriptions are the same.</p>`}`)}
      <h2>Description</h2>
      ${described.draw(full => full.description ? html`<pre class="yaml" tabindex="0">${yaml(full.description)}</pre>`
        : html`<p class="quiet">It is not known any more.</p>`)}`
  }

  /** @param {Build} b */
  function details(b) {
    const condition = { Succeeded: 'True', Failed: 'False', Cancelled: 'False' }[/** @type {string} */ (b.status)] || 'Unknown'
    return html`<dl class="facts">
      <dt>Id</dt><dd><code>${b.id}</code> ${copy(b.id, 'the id')}</dd>
      <dt>Condition</dt><dd>BuildStatus <b>${condition}</b>, ${b.reason}${b.message ? html`: ${b.message}` : nothing}</dd>
      ${b.recorded === undefined ? nothing : html`<dt>On the object</dt><dd>${b.recorded ? 'It shows this end, or a newer build' : 'It does not show this end yet'}</dd>`}
      <dt>Source</dt><dd>${b.source?.uri || ''} ${b.source?.path && b.source.path !== '.' ? html`<span class="quiet">folder</span> ${b.source.path}` : nothing}</dd>
      ${b.commit ? html`<dt>Commit</dt><dd><code>${b.commit}</code> ${copy(b.commit, 'the commit')}</dd>` : nothing}
      ${b.committed ? html`<dt>Committed</dt><dd>${exact(b.committed)}</dd>` : nothing}
      <dt>Asked for</dt><dd>${exact(b.requested)}${b.requester ? ` by ${b.requester}` : ''}</dd>
      ${b.started ? html`<dt>Began</dt><dd>${exact(b.started)}</dd>` : nothing}
      ${b.completed ? html`<dt>Ended</dt><dd>${exact(b.completed)}</dd>` : nothing}
      ${b.expected && !b.completed ? html`<dt>Expected to end</dt><dd>${exact(b.expected)}</dd>` : nothing}
      ${b.publishes ? html`<dt>Publishes</dt><dd>what build <a href="/builds/${b.publishes}">${short(b.publishes)}</a> has made</dd>` : nothing}
      ${b.supersedes ? html`<dt>Supersedes</dt><dd>build <a href="/builds/${b.supersedes}">${short(b.supersedes)}</a></dd>` : nothing}
      ${b.descriptionHash ? html`<dt>Description</dt><dd><code>${b.descriptionHash}</code></dd>` : nothing}
    </dl>`
  }

  return {
    title: () => build.value ? `${word(build.value)} · ${objectName(build.value)} ${short(build.value.id)}` : `Build ${short(id)}`,
    reload: () => build.load(),
    update: to => {
      query = to
      compare()
    },
    draw: () => {
      const { error } = build
      if (error instanceof Problem && error.candidates.length) {
        return html`<h1 tabindex="-1">Several builds</h1><p>Their ids end with ${id}:</p>
          <ul>${repeat(error.candidates, c => c, c => html`<li><a class="row" href="/builds/${c}"><code>${c}</code></a></li>`)}</ul>`
      }
      if (error instanceof Problem && error.status === 404) return html`<h1 tabindex="-1">Build ${short(id)}</h1>${problem(error)}`
      return build.value ? html`${head(build.value)}
        <nav class="tabs" aria-label="Parts of the build">${Object.entries(tabs).map(([name, text]) => {
          const q = new URLSearchParams(query)
          q.delete('with')
          if (name === 'log') q.delete('tab')
          else q.set('tab', name)
          return html`<a href="/builds/${build.value?.id}${q.size ? '?' + q : ''}" aria-current=${tab() === name ? 'page' : nothing}>${text}</a>`
        })}</nav>
        ${content(build.value)}` : html`<h1 tabindex="-1">Build ${short(id)}</h1>${build.draw(() => nothing)}`
    },
  }
}
