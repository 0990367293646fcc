// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Where somebody goes to the issuer, and comes back to the page that they wanted.

import { html, nothing } from '../vendor/lit-html.js'
import * as auth from '../auth.js'
import { info } from '../info.js'

/** @type {unknown} */
let reason

/** Why the last login has failed. @param {unknown} error */
export const because = error => { reason = error }

const tried = 'ajour.tried'

/** Somebody has logged in. */
export function done() {
  reason = undefined
  sessionStorage.removeItem(tried)
}

/** @param {import('../page.js').At} at @returns {import('../page.js').Page} */
export function open(at) {
  const to = location.pathname === '/login' ? '/' : location.pathname + location.search + location.hash
  /** @type {import('../../types').Info | undefined} */
  let about
  let busy = false
  /** @type {unknown} */
  let unreachable
  const login = async () => {
    busy = true
    at.redraw()
    try {
      await auth.login(to)
    } catch (error) {
      because(error)
      busy = false
      at.redraw()
    }
  }
  // Back from the issuer, a browser may show the page as it was.
  addEventListener('pageshow', event => {
    if (!event.persisted) return
    busy = false
    at.redraw()
  }, { signal: at.signal })
  const ask = () => info().then(i => {
    about = i
    reason = reason === unreachable ? undefined : reason
    at.redraw()
    // A browser that has logged in before has a session at the issuer, most probably: it need not be asked.
    if (auth.isKnown() && !reason && to !== '/' && !sessionStorage.getItem(tried)) {
      sessionStorage.setItem(tried, 'yes')
      login()
    }
  }, error => {
    because(unreachable = error)
    at.redraw()
  })
  ask()
  return {
    title: () => 'Log in',
    reload: ask,
    draw: () => html`<div class="login">
      <h1 tabindex="-1">Ajour</h1>
      <p>Firmware builds for the devices of Drogue IoT: their state, their logs, and what they have made.</p>
      ${reason ? html`<p class="problem" role="alert">${reason instanceof Error ? reason.message : reason}</p>` : nothing}
      ${how(about)}
    </div>`,
  }

  /** @param {import('../../types').Info | undefined} about */
  function how(about) {
    const local = new URL(location.href)
    local.hostname = 'localhost'
    if (!auth.canLogIn()) {
      return html`<p role="alert">This browser lets nobody log in over plain HTTP from a different machine. Use
        https://, or a port-forward and <a href=${local.href}>${local.origin}</a>.</p>`
    }
    // Drogue's Keycloak takes people back to the name localhost, and not to the address.
    if (about && !about.dev && location.hostname === '127.0.0.1') {
      return html`<p><a class="button primary" href=${local.href}>Continue at ${local.host}</a></p>
        <p class="quiet">The issuer ${new URL(about.issuer).host} sends people back to that name, and not to ${location.host}.</p>`
    }
    return html`<p><button class="primary" ?disabled=${busy || !about} @click=${login}>${busy ? 'One moment…' : 'Log in'}</button></p>
      ${about ? html`<p class="quiet">You log in at ${new URL(about.issuer).host}.</p>` : nothing}`
  }
}
