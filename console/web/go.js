// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

/**
 * Goes to a URL of the console.
 * @param {string} to
 * @param {boolean} [replace] the present one in the history
 */
export const go = (to, replace = false) => {
  dispatchEvent(new CustomEvent('ajour:go', { detail: { to, replace } }))
}
