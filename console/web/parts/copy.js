// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

import { html } from '../vendor/lit-html.js'
import { failed, toast } from './toast.js'
import { icon } from './icon.js'

/** @param {string} text @param {string} what */
export async function copyText(text, what) {
  try {
    await navigator.clipboard.writeText(text)
    toast(`Copied: ${what}`)
  } catch {
    failed(new Error(`The browser does not let the console copy ${what}`))
  }
}

/** A button that copies a text. @param {string} text @param {string} what */
export const copy = (text, what) => html`
  <button class="bare" title="Copy ${what}" aria-label="Copy ${what}" @click=${() => copyText(text, what)}>${icon('copy')}</button>`
