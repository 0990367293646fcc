// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Pictures where people understand faster what they see than what they read. Each has its numbers besides.

import { html, nothing, svg } from '../vendor/lit-html.js'
import { buildPath, count, duration, exact, short, size, took } from '../format.js'
import { appearance, drifts, word } from './status.js'
import { icon } from './icon.js'

/** @typedef {import('../../types').Build} Build */

const chart = { width: 320, height: 56, bar: 12, gap: 4 }
const most = Math.floor(chart.width / (chart.bar + chart.gap))

/**
 * How long the last builds of an object took, and how large their firmware is: a bar each, the newest at
 * the end.
 * @param {Build[]} builds the newest first
 */
export function history(builds) {
  const ended = builds.filter(b => b.completed && b.started && b.status !== 'Cancelled').slice(0, most).reverse()
  if (ended.length < 2) return nothing
  const sized = ended.filter(b => b.artifact?.size)
  return html`<div class="pictures">
    ${bars('Duration', ended, b => took(b), duration)}
    ${sized.length > 1 ? bars('Firmware', sized, b => b.artifact?.size || 0, size) : nothing}
  </div>`
}

/**
 * @param {string} name
 * @param {Build[]} builds
 * @param {(b: Build) => number} value
 * @param {(n: number) => string} text
 */
function bars(name, builds, value, text) {
  const top = Math.max(...builds.map(value), 1), newest = builds[builds.length - 1]
  return html`<figure>
    <figcaption><span>${name}</span> <b>${text(value(newest))}</b> <span class="quiet">at most ${text(top)}</span></figcaption>
    <svg class="chart" viewBox="0 0 ${chart.width} ${chart.height}" role="group" aria-label="${name} of the last ${count(builds.length, 'build')}">
      <line x1="0" x2=${chart.width} y1=${chart.height - 0.5} y2=${chart.height - 0.5} class="base"/>
      ${builds.map((b, i) => {
        const height = Math.max(2, value(b) / top * (chart.height - 6))
        const label = `${short(b.id)}, ${word(b)}: ${text(value(b))}, ${exact(b.requested)}`
        return svg`<a href=${buildPath(b)} aria-label=${label}>
          <rect class="hit" x=${i * (chart.bar + chart.gap)} y="0" width=${chart.bar + chart.gap} height=${chart.height}></rect>
          <rect class=${appearance(b.status)[1]} x=${i * (chart.bar + chart.gap) + chart.gap / 2} y=${chart.height - height}
            width=${chart.bar} height=${height} rx="1.5"></rect><title>${label}</title></a>`
      })}
    </svg></figure>`
}

/**
 * What a build does, in its order, and how long each took.
 * @param {Build} b
 */
export function pipeline(b) {
  if (!b.steps?.length) return nothing
  return html`<ol class="pipeline" aria-label="Steps">${b.steps.map(s => {
    const [name, kind] = appearance(s.state)
    const ms = s.started ? (s.completed ? Date.parse(s.completed) : Date.now()) - Date.parse(s.started) : NaN
    return html`<li class=${kind}><a href="/builds/${b.id}#${s.name}" title="${s.state}: show its log">
      ${icon(name)}<span class="name">${s.name}</span>
      <span class="quiet">${duration(ms) || (s.state === 'Skipped' ? 'skipped' : '')}</span></a></li>`
  })}</ol>`
}

const order = /** @type {import('../../types').DriftState[]} */ (['InSync', 'Updating', 'NotInSync', 'Unknown'])

/**
 * How many devices are in which state, as a bar and as links to them.
 * @param {string} app
 * @param {import('../../types').Fleet} fleet
 */
export function driftBar(app, fleet) {
  const path = `/apps/${encodeURIComponent(app)}/devices`
  if (!fleet.devices) return html`<p class="quiet">It has no devices.</p>`
  let x = 0
  return html`<div class="drift">
    <svg class="driftbar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">${order.map(state => {
      const width = fleet.states[state] / fleet.devices * 100, at = x
      x += width
      return width ? svg`<rect x=${at} y="0" width=${width} height="4" class=${state}></rect>` : nothing
    })}</svg>
    <ul class="legend">${order.map(state => html`<li><span class="key ${state}"></span>
      <a href="${path}?state=${state}">${drifts[state]}</a> <b>${fleet.states[state].toLocaleString()}</b></li>`)}</ul>
  </div>`
}
