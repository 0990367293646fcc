// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Who is logged in, and what they have chosen for this browser.

import { get } from './api.js'
import * as auth from './auth.js'

/** @type {import('../types').Me | undefined} */
let me

auth.changed.addEventListener('change', () => { if (!auth.loggedIn()) me = undefined })

/** @returns {Promise<import('../types').Me>} */
export async function whoAmI() {
  return me ??= await get('/me')
}

/** Who is logged in, if that is known by now. */
export const user = () => me

/**
 * @template T
 * @param {string} name
 * @param {T} otherwise
 * @returns {T}
 */
export function chosen(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem('ajour.' + name) || '') ?? otherwise
  } catch { // it was never chosen, or by hand
    return otherwise
  }
}

/** @param {string} name @param {unknown} value */
export const choose = (name, value) => localStorage.setItem('ajour.' + name, JSON.stringify(value))

/** @typedef {'system' | 'light' | 'dark'} Theme */

/** @returns {Theme} */
export const theme = () => /** @type {Theme} */ (document.documentElement.dataset.theme || 'system')

/** @param {Theme} to */
export function setTheme(to) {
  document.documentElement.dataset.theme = to
  localStorage.setItem('ajour.theme', to)
}

/** Why somebody may not do something, for a button that does nothing. @param {string} action */
export const why = action => me?.mayTrigger === false
  ? 'You need the role trigger-build'
  : `You may not ${action} this, or not now`
