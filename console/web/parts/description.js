// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// How the firmware of an object is built, and what is wrong with that.

import { html, nothing } from '../vendor/lit-html.js'
import { yaml } from '../yaml.js'
import { icon } from './icon.js'

/** @typedef {import('../../types').DrogueObject} DrogueObject */

/** @param {import('../../types').Violation[]} [violations] @param {(import('../../types').Violation | string)[]} [warnings] */
export const remarks = (violations = [], warnings = []) => html`
  ${violations.length ? html`<ul class="remarks bad">${violations.map(v => html`<li>${icon('failed')}<span><code>${v.path}</code> ${v.detail}</span></li>`)}</ul>` : nothing}
  ${warnings.length ? html`<ul class="remarks odd">${warnings.map(w => html`<li>${icon('warning')}<span>${
    typeof w === 'string' ? w : html`<code>${w.path}</code> ${w.detail}`}</span></li>`)}</ul>` : nothing}`

/**
 * @param {DrogueObject} o
 * @param {string} edit the path of the page where it is edited
 */
export function description(o, edit) {
  if (o.firmware === undefined) {
    return html`<div class="empty"><p>${o.inherits ? 'It has no description of its own: that of its application holds.'
      : 'It is not described how its firmware is built.'}</p><p><a class="button" href=${edit}>Write a description</a></p></div>`
  }
  return html`${remarks(o.violations, o.warnings)}
    ${o.outOfDate ? html`<p class="note odd">${icon('warning')} <span>This description was not built yet.</span></p>` : nothing}
    <pre class="yaml" tabindex="0">${yaml({ firmware: o.firmware })}</pre>`
}

/** @param {Record<string, string>} [labels] */
export const labels = labels => Object.entries(labels || {}).map(([name, value]) => html`<span class="label">${name}${value ? `=${value}` : ''}</span> `)
