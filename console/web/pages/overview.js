// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// What is going on, and what needs somebody.

import { html, nothing } from '../vendor/lit-html.js'
import { appPath, get, page } from '../api.js'
import { listen } from '../events.js'
import { Loaded, later, sparing, tick } from '../page.js'
import { replace, table } from '../parts/builds.js'
import { announce } from '../parts/toast.js'
import { word } from '../parts/status.js'
import { objectName } from '../format.js'

/** @typedef {import('../../types').Build} Build */

const day = 24 * 3600_000
/** How many applications are asked for the state of their devices. */
const asked = 50

/** @param {import('../page.js').At} at @returns {import('../page.js').Page} */
export function open(at) {
  /** @type {Build[]} */
  let active = []
  let live = false
  const since = new Date(Date.now() - day).toISOString()
  const ended = new Loaded(at, async () => (await page('/builds', {
    status: ['Succeeded', 'Failed', 'Cancelled'], limit: 10, devices: undefined,
  }, at.signal)).list)
  const failed = new Loaded(at, async () => (await page('/builds', { status: 'Failed', since, limit: 1 }, at.signal)).total)
  const apps = new Loaded(at, () => get('/apps', undefined, at.signal))
  /** @type {{inSync: number, all: number, outOfDate: number, rest: boolean} | undefined} */
  let fleet

  const reload = () => {
    ended.load()
    failed.load()
    apps.load().then(countDevices)
  }
  const ends = () => {
    ended.load()
    failed.load()
  }
  const now = sparing(ends, 1000), again = later(ends, 2000)
  /** Reads the ends, and once more: a replica of the server may not have heard of the last one yet. */
  const soon = () => {
    now()
    again()
  }

  async function countDevices() {
    const list = /** @type {import('../../types').DrogueObject[]} */ (apps.value || [])
    const sum = { inSync: 0, all: 0, outOfDate: 0, rest: list.length > asked }
    const queue = list.slice(0, asked)
    const worker = async () => {
      for (let app = queue.shift(); app && !at.signal.aborted; app = queue.shift()) {
        try {
          const f = /** @type {import('../../types').Fleet} */ (await get(appPath(app.name) + '/fleet', undefined, at.signal))
          sum.inSync += f.states.InSync
          sum.all += f.devices
          sum.outOfDate += f.outOfDate
        } catch { // it is not counted
          sum.rest = true
        }
      }
    }
    await Promise.all([worker(), worker(), worker()])
    if (at.signal.aborted) return
    fleet = sum
    at.redraw()
  }

  listen({}, {
    snapshot: list => {
      active = list
      live = true
      soon()
      at.redraw()
    },
    build: b => {
      const known = active.find(o => o.id === b.id)
      if (!known || known.status !== b.status) announce(`${objectName(b)}: ${word(b)}`)
      if (b.completed) {
        active = active.filter(o => o.id !== b.id)
        soon()
      } else if (!replace(active, b)) {
        active = [b, ...active]
      }
      at.redraw()
    },
    gone: id => {
      active = active.filter(o => o.id !== id)
      at.redraw()
    },
    poll: async () => {
      active = await get('/builds', { status: ['Queued', 'Running'] }, at.signal).catch(() => active)
      live = true
      soon()
      at.redraw()
    },
  }, at.signal)
  reload()
  tick(at, () => active.length > 0)

  const count = (/** @type {unknown} */ n, /** @type {string} */ label, /** @type {string} */ href, kind = '') => html`
    <a class="count ${n ? kind : ''}" href=${href}><b>${n === undefined ? '–' : Number(n).toLocaleString()}</b><span>${label}</span></a>`

  return {
    title: () => active.length ? `Overview (${active.length} active)` : 'Overview',
    reload,
    draw: () => {
      const list = /** @type {import('../../types').DrogueObject[] | undefined} */ (apps.value)
      const old = list && list.filter(o => o.outOfDate).length + (fleet?.outOfDate || 0)
      return html`
      <h1 tabindex="-1">Overview</h1>
      <div class="counts">
        ${count(live ? active.length : undefined, 'active builds', '/builds?status=Queued&status=Running', 'busy')}
        ${count(failed.value, 'failed in the last day', `/builds?status=Failed&since=1d`, 'bad')}
        ${count(old, 'descriptions not built yet', '/apps?show=outOfDate', 'odd')}
        ${count(fleet && fleet.all - fleet.inSync, `of ${fleet ? fleet.all.toLocaleString() : '–'} devices not in sync${fleet?.rest ? ', or more' : ''}`, '/apps', 'odd')}
      </div>
      ${active.length ? html`<h2>Active</h2>${table(active.slice(0, 50), { object: true, label: 'Active builds' })}
        ${active.length > 50 ? html`<p><a href="/builds?status=Queued&status=Running">All ${active.length.toLocaleString()}</a></p>` : nothing}` : nothing}
      <h2>Ended last</h2>
      ${ended.draw(builds => builds.length ? table(builds, { object: true, label: 'Builds that ended last' }) : apps.value ? empty(apps.value) : nothing)}`
    },
  }
}

const sample = `spec:
  firmware:
    container:
      image: greenhouse:main
      build:
        image: registry.example.org/builders/zephyr:4.1
        source:
          git: {uri: "https://git.example.org/greenhouse.git", rev: main, project: .}
        args: [make]
        artifact: {path: build/firmware.bin}`

/** @param {import('../../types').DrogueObject[]} apps */
export function empty(apps) {
  const without = apps.find(a => !a.builds)
  return html`<div class="empty">
    <p>Nothing is built yet.${apps.length ? '' : ' You may read no application of Drogue: make one there, or ask to become a member of one.'}</p>
    <p>Write on an application how its firmware is built, and it is built, at once and whenever that changes:</p>
    <pre tabindex="0">${sample}</pre>
    ${without ? html`<p><a class="button primary" href="${appPath(without.name)}/edit">Write it for ${without.name}</a></p>` : nothing}
  </div>`
}
