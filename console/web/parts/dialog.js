// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// A question before something that cannot be taken back.

import { html, render } from '../vendor/lit-html.js'

/**
 * Asks. The focus goes back to where it was.
 * @param {string} title
 * @param {unknown} text
 * @param {string} yes what the button says
 * @returns {Promise<boolean>}
 */
export function confirm(title, text, yes) {
  const dialog = document.createElement('dialog')
  dialog.setAttribute('aria-labelledby', 'question')
  const opener = document.activeElement
  document.body.append(dialog)
  render(html`
    <form method="dialog">
      <h2 id="question">${title}</h2>
      <p>${text}</p>
      <div class="buttons">
        <button class="primary" value="yes">${yes}</button>
        <button value="">Leave it</button>
      </div>
    </form>`, dialog)
  return new Promise(resolve => {
    dialog.addEventListener('close', () => {
      const answer = dialog.returnValue === 'yes'
      dialog.remove()
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus()
      resolve(answer)
    })
    dialog.showModal()
  })
}

/**
 * Shows something until it is closed.
 * @param {string} title
 * @param {unknown} content
 */
export function show(title, content) {
  const dialog = document.createElement('dialog')
  dialog.setAttribute('aria-labelledby', 'question')
  document.body.append(dialog)
  render(html`
    <form method="dialog">
      <h2 id="question">${title}</h2>
      ${content}
      <div class="buttons"><button class="primary">Close</button></div>
    </form>`, dialog)
  dialog.addEventListener('close', () => dialog.remove())
  dialog.showModal()
}
