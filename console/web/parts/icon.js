// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Small pictures, drawn by hand on a grid of 16. They are decoration: a word is always beside them, or a label.

import { html, svg } from '../vendor/lit-html.js'

const shapes = {
  done: svg`<circle cx="8" cy="8" r="6.25"/><path d="m5.3 8.2 1.9 1.9 3.6-4"/>`,
  failed: svg`<circle cx="8" cy="8" r="6.25"/><path d="m5.9 5.9 4.2 4.2m0-4.2-4.2 4.2"/>`,
  running: svg`<circle cx="8" cy="8" r="6.25" class="faint"/><path d="M8 1.75A6.25 6.25 0 0 1 14.250 8"/>`,
  waiting: svg`<circle cx="8" cy="8" r="6.25"/><path d="M8 4.5V8l2.300 1.400"/>`,
  ended: svg`<circle cx="8" cy="8" r="6.25"/><path d="M5.200 8h5.600"/>`,
  unknown: svg`<circle cx="8" cy="8" r="6.25"/><path d="M6.300 6.400a1.750 1.750 0 1 1 2.600 1.500c-.6.400-.9.700-.9 1.300m0 1.700v.2"/>`,
  warning: svg`<path d="M8 2.200 14.300 13.300H1.700z"/><path d="M8 6.300v3.300m0 1.700v.2"/>`,
  device: svg`<rect x="3.250" y="3.250" width="9.500" height="9.500" rx="1.500"/><path d="M6 1.500v1.700m4-1.700v1.700M6 12.800v1.700m4-1.700v1.700M1.500 6h1.700m-1.700 4h1.700m9.600-4h1.700m-1.700 4h1.700"/>`,
  update: svg`<path d="M13.500 7A5.600 5.600 0 0 0 3.300 5M2.500 9a5.600 5.600 0 0 0 10.200 2M3 2v3.200h3.200M13 14v-3.200H9.800"/>`,
  more: svg`<path d="M8 3.500v.2m0 4.200v.2m0 4.200v.2" class="thick"/>`,
  copy: svg`<rect x="5.500" y="5.500" width="8" height="8" rx="1.250"/><path d="M3.500 10.500h-.3a.9.900 0 0 1-.9-.9V3.200a.9.900 0 0 1 .9-.9h6.400a.9.900 0 0 1 .9.900v.3"/>`,
  open: svg`<path d="m6 3.500 4.500 4.500L6 12.500"/>`,
  search: svg`<circle cx="7" cy="7" r="4.500"/><path d="m10.500 10.500 3.500 3.500"/>`,
  menu: svg`<path d="M2 4h12M2 8h12M2 12h12"/>`,
  close: svg`<path d="m4 4 8 8m0-8-8 8"/>`,
  up: svg`<path d="m3.500 10 4.500-4.500 4.500 4.500"/>`,
  down: svg`<path d="m3.500 6 4.500 4.500 4.500-4.500"/>`,
}

/** @param {keyof typeof shapes} name @param {string} [kind] */
export const icon = (name, kind = '') => html`<svg class="icon ${kind}" viewBox="0 0 16 16" aria-hidden="true">${shapes[name]}</svg>`
