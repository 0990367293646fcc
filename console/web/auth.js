// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Login with OpenID Connect: a code, with PKCE (RFC 7636). The tokens are those of a tab: they survive a
// reload, and not the tab.

import { info } from './info.js'

/**
 * @typedef {object} Session
 * @property {string} access
 * @property {string} [refresh]
 * @property {string} [id]
 * @property {number} until when the access token expires, in ms
 */

const stored = 'ajour.session', pending = 'ajour.login', known = 'ajour.known'
/** How long before its end a token is renewed, in ms. */
const ahead = 60_000

/** @type {Session | null} */
let session = JSON.parse(sessionStorage.getItem(stored) || 'null')
/** @type {Promise<boolean> | null} */
let renewing = null
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer

/** Gets an event whenever somebody has logged in or the session has ended. */
export const changed = new EventTarget()

export const loggedIn = () => session !== null

/** Whether somebody has logged in with this browser before, and not out. */
export const isKnown = () => localStorage.getItem(known) === 'yes'

/** Whether the browser can do what login needs, which it does not at http:// of a different machine. */
export const canLogIn = () => Boolean(globalThis.crypto?.subtle)

/** @param {Session | null} to */
function set(to) {
  session = to
  clearTimeout(timer)
  if (!to) {
    sessionStorage.removeItem(stored)
  } else {
    sessionStorage.setItem(stored, JSON.stringify(to))
    const left = to.until - Date.now()
    if (to.refresh) timer = setTimeout(renew, Math.max(left - ahead, left / 2, 1000))
  }
  changed.dispatchEvent(new Event('change'))
}

if (session) set(session)

/** @type {Promise<Record<string, any>> | undefined} */
let discovered

/** The endpoints of the issuer (OpenID Connect Discovery 1.0). */
async function endpoints() {
  discovered ??= (async () => {
    const { issuer } = await info()
    const answer = await fetch(issuer.replace(/\/$/, '') + '/.well-known/openid-configuration')
    if (!answer.ok) throw new Error(`The issuer ${issuer} answers ${answer.status}`)
    return answer.json()
  })()
  return discovered.catch(error => {
    discovered = undefined
    throw error
  })
}

/** @param {ArrayBuffer | Uint8Array} bytes */
const base64url = bytes => btoa(String.fromCharCode(...new Uint8Array(bytes)))
  .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)))

const callback = () => location.origin + '/callback'

/**
 * Goes to the issuer, and comes back to a path afterwards.
 * @param {string} to
 */
export async function login(to) {
  const { clientId } = await info()
  const { authorization_endpoint: endpoint } = await endpoints()
  const login = { state: random(), nonce: random(), verifier: random(), to }
  sessionStorage.setItem(pending, JSON.stringify(login))
  const challenge = base64url(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(login.verifier)))
  const url = new URL(endpoint)
  for (const [name, value] of Object.entries({
    response_type: 'code', client_id: clientId, redirect_uri: callback(), scope: 'openid', state: login.state,
    nonce: login.nonce, code_challenge: challenge, code_challenge_method: 'S256',
  })) url.searchParams.set(name, value)
  location.assign(url)
}

/**
 * Ends a login, with what the issuer has answered. Returns the path to go to.
 * @param {URLSearchParams} answer
 * @returns {Promise<string>}
 */
export async function finish(answer) {
  const login = JSON.parse(sessionStorage.getItem(pending) || 'null')
  sessionStorage.removeItem(pending)
  const { issuer, clientId } = await info()
  if (!login || answer.get('state') !== login.state) {
    throw new Error('This login was not begun in this tab, or was used already')
  }
  if (answer.has('iss') && answer.get('iss') !== issuer) throw new Error('The answer is of a different issuer') // RFC 9207
  if (answer.has('error')) throw new Error(answer.get('error_description') || `The issuer says: ${answer.get('error')}`)
  const tokens = await ask({
    grant_type: 'authorization_code', client_id: clientId, code: answer.get('code') || '',
    redirect_uri: callback(), code_verifier: login.verifier,
  })
  if (!tokens) throw new Error('The issuer does not take the code any more')
  const claims = tokens.id ? payload(tokens.id) : {}
  // The signature need not be looked at: the token has come from the issuer itself (OpenID Connect Core 1.0, 3.1.3.7).
  if (claims.nonce !== login.nonce || claims.iss !== issuer || ![claims.aud].flat().includes(clientId)) {
    throw new Error('The ID token is not that of this login')
  }
  localStorage.setItem(known, 'yes')
  set(tokens)
  return login.to
}

/** @param {string} token @returns {Record<string, any>} */
function payload(token) {
  const bytes = atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'))
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, c => c.charCodeAt(0))))
}

/**
 * Asks for tokens. Returns null if the issuer refuses.
 * @param {Record<string, string>} form
 * @returns {Promise<Session | null>}
 */
async function ask(form) {
  const { token_endpoint: endpoint } = await endpoints()
  const answer = await fetch(endpoint, { method: 'POST', body: new URLSearchParams(form) })
  if (answer.status === 400 || answer.status === 401) return null
  if (!answer.ok) throw new Error(`The issuer answers ${answer.status}`)
  const tokens = await answer.json()
  return {
    access: tokens.access_token, refresh: tokens.refresh_token, id: tokens.id_token,
    until: Date.now() + tokens.expires_in * 1000,
  }
}

/**
 * Renews the tokens, at most once at a time. Returns whether the session goes on.
 * @returns {Promise<boolean>}
 */
export function renew() {
  renewing ??= (async () => {
    try {
      if (!session?.refresh) {
        set(null)
        return false
      }
      const { clientId } = await info()
      const before = session
      const tokens = await ask({ grant_type: 'refresh_token', client_id: clientId, refresh_token: session.refresh })
      if (session !== before) return session !== null // somebody has logged out meanwhile
      set(tokens && { ...tokens, refresh: tokens.refresh || before.refresh, id: tokens.id || before.id })
      return session !== null
    } catch { // the issuer is away, which ends no session
      clearTimeout(timer)
      if (session) timer = setTimeout(renew, 10_000)
      return session !== null && session.until > Date.now()
    } finally {
      renewing = null
    }
  })()
  return renewing
}

/** The access token; empty if nobody is logged in. */
export async function token() {
  if (session && session.until - Date.now() < 5000) await renew()
  return session?.access || ''
}

/** Ends the session here and at the issuer, and shows the page for login. */
export async function logout() {
  const id = session?.id || ''
  localStorage.removeItem(known)
  let to = '/login'
  try {
    const { clientId } = await info()
    const { end_session_endpoint: endpoint } = await endpoints()
    if (endpoint) {
      const url = new URL(endpoint)
      url.searchParams.set('client_id', clientId)
      if (id) url.searchParams.set('id_token_hint', id)
      url.searchParams.set('post_logout_redirect_uri', location.origin + '/login')
      to = url.href
    }
  } catch { /* the issuer is away: the session ends here */ }
  session = null
  clearTimeout(timer)
  sessionStorage.removeItem(stored)
  location.assign(to)
}
