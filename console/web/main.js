// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Which page a URL shows, and what is around it.

import { html, nothing, render } from './vendor/lit-html.js'
import { isOnline, reach, reached } from './api.js'
import * as auth from './auth.js'
import { info } from './info.js'
import { problem } from './page.js'
import { chosen, choose, setTheme, theme, user, whoAmI } from './state.js'
import { show } from './parts/dialog.js'
import { icon } from './parts/icon.js'
import * as app from './pages/app.js'
import * as apps from './pages/apps.js'
import * as build from './pages/build.js'
import * as builds from './pages/builds.js'
import * as device from './pages/device.js'
import * as devices from './pages/devices.js'
import * as edit from './pages/edit.js'
import * as login from './pages/login.js'
import * as missing from './pages/missing.js'
import * as overview from './pages/overview.js'

/** @typedef {{open(at: import('./page.js').At): import('./page.js').Page}} Module */

/** @type {[RegExp, Module | ((query: URLSearchParams) => Module)][]} */
const routes = [
  [/^\/$/, overview],
  [/^\/builds\/?$/, builds],
  [/^\/builds\/([^/]+)$/, build],
  [/^\/apps\/?$/, apps],
  [/^\/apps\/([^/]+)$/, app],
  [/^\/apps\/([^/]+)\/devices$/, query => query.has('device') ? device : devices],
  [/^\/apps\/([^/]+)\/edit$/, edit],
  [/^\/login$/, login],
]

/** @param {string} id */
const root = id => /** @type {HTMLElement} */ (document.getElementById(id))

/** @type {{module: Module, path: string, search: string, page: import('./page.js').Page, leave: AbortController} | undefined} */
let current
let framed = false
/** Where the page was scrolled to when it was left. */
let scrollTo = 0
/** Whether the heading is to have the focus, until a person does something. */
let heading = false

function redraw() {
  if (framed) return
  framed = true
  requestAnimationFrame(() => {
    framed = false
    draw()
  })
}

function draw() {
  if (!current) return
  try {
    render(current.page.draw(), root('main'))
  } catch (error) { // so that the rest goes on
    console.error(error)
    render(problem(error), root('main'))
  }
  document.title = `${current.page.title()} · Ajour`
  // A page may draw a different heading when it knows more.
  if (heading && document.activeElement === document.body) focusHeading()
  if (scrollTo && document.documentElement.scrollHeight >= scrollTo + innerHeight) {
    window.scrollTo(0, scrollTo)
    scrollTo = 0
  }
}

/** Shows the page of the URL. @param {boolean} [focus] whether the heading gets the focus */
function open(focus = false) {
  const query = new URLSearchParams(location.search)
  const found = routes.map(([path, module]) => ({ match: path.exec(location.pathname), module })).find(r => r.match)
  /** @type {Module} */
  let module = missing
  if (found) module = typeof found.module === 'function' ? found.module(query) : found.module
  if (module !== login && !auth.loggedIn()) {
    module = login
  }
  if (current?.module === module && current.path === location.pathname && current.page.update) {
    current.search = location.search
    current.page.update(query)
    redraw()
    return
  }
  current?.leave.abort()
  const leave = new AbortController()
  /** @type {string[]} */
  let params
  try {
    params = (found?.match || []).slice(1).map(decodeURIComponent)
  } catch { // "%" alone
    module = missing
    params = []
  }
  // A heading of its own for each page, which the focus can go to.
  render(nothing, root('main'))
  current = {
    module, path: location.pathname, search: location.search, leave,
    page: module.open({ params, query, signal: leave.signal, redraw }),
  }
  draw()
  header()
  heading = focus
  if (focus) focusHeading()
}

function focusHeading() {
  (root('main').querySelector('h1') || root('main')).focus({ preventScroll: true })
}

/**
 * Goes to a URL of the console.
 * @param {string} to
 * @param {boolean} [replace] the present one in the history
 */
function go(to, replace = false) {
  const url = new URL(to, location.href)
  const same = url.pathname === location.pathname && url.searchParams.get('device') === new URLSearchParams(location.search).get('device')
  if (replace) {
    history.replaceState(null, '', url)
  } else {
    history.replaceState({ scroll: scrollY }, '')
    history.pushState(null, '', url)
  }
  scrollTo = 0
  open(!same)
  if (!same && !replace) window.scrollTo(0, 0)
  if (same && url.hash) dispatchEvent(new HashChangeEvent('hashchange')) // which a new state is none of
}

document.addEventListener('ajour:redraw', redraw)

addEventListener('ajour:go', event => {
  const { to, replace } = /** @type {CustomEvent<{to: string, replace: boolean}>} */ (event).detail
  go(to, replace)
})

history.scrollRestoration = 'manual'
addEventListener('popstate', event => {
  if (location.pathname + location.search === (current ? current.path + current.search : '')) return // a different #line
  scrollTo = event.state?.scroll || 0
  open(true)
  if (!scrollTo) window.scrollTo(0, 0)
})
for (const type of ['wheel', 'touchmove', 'keydown', 'pointerdown']) {
  addEventListener(type, () => {
    scrollTo = 0
    heading = false
  }, { passive: true })
}

document.addEventListener('click', event => {
  for (const menu of document.querySelectorAll('details.menu[open]')) {
    if (event.target instanceof Node && !menu.contains(event.target)) menu.removeAttribute('open')
  }
  const link = event.target instanceof Element ? event.target.closest('a') : null
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  const href = link.getAttribute('href') || link.getAttribute('xlink:href') || ''
  const url = new URL(href, location.href)
  if (url.origin !== location.origin || link.getAttribute('target') || link.hasAttribute('download') || href.startsWith('#')) return
  event.preventDefault()
  drawer = false
  go(url.href)
})

let drawer = false

function header() {
  const at = location.pathname, name = user()?.name
  /** @param {string} path @param {string} text */
  const tab = (path, text) => {
    const here = path === '/' ? at === '/' : at.startsWith(path)
    return html`<a href=${path} aria-current=${here ? 'page' : nothing}>${text}</a>`
  }
  /** @param {SubmitEvent} event */
  const search = event => {
    event.preventDefault()
    const field = /** @type {HTMLInputElement} */ (root('header').querySelector('input[type=search]'))
    drawer = false
    go('/builds' + (field.value.trim() ? '?' + new URLSearchParams({ q: field.value.trim() }) : ''))
    field.value = ''
  }
  render(html`
    <a class="brand" href="/">Ajour</a>
    ${auth.loggedIn() ? html`
      <button class="bare drawer" aria-expanded=${drawer} aria-controls="nav" aria-label="Menu"
        @click=${() => { drawer = !drawer; header() }}>${icon(drawer ? 'close' : 'menu')}</button>
      <div id="nav" class=${drawer ? 'shown' : ''}>
        <nav aria-label="Pages">${tab('/', 'Overview')}${tab('/builds', 'Builds')}${tab('/apps', 'Applications')}</nav>
        <form role="search" @submit=${search}>
          <label class="search">${icon('search')}<span class="unseen">Search builds</span>
            <input type="search" placeholder="Search builds" autocomplete="off" spellcheck="false"></label>
        </form>
        <details class="menu user">
          <summary>${name || 'Account'} ${icon('down')}</summary>
          <div class="sheet">
            <fieldset><legend>Theme</legend>
              ${/** @type {const} */ (['system', 'light', 'dark']).map(t => html`<label><input type="radio" name="theme" .checked=${theme() === t}
                @change=${() => { setTheme(t); header() }}> ${t[0].toUpperCase() + t.slice(1)}</label>`)}
            </fieldset>
            <button class="item" @click=${help}>Keyboard</button>
            <button class="item" @click=${() => auth.logout()}>Log out</button>
          </div>
        </details>
      </div>` : nothing}`, root('header'))
}

function bars() {
  render(html`
    ${isOnline() ? nothing : html`<div class="bar odd" role="status">${icon('warning')} The server cannot be reached. The console tries again by itself.</div>`}
    ${current && current.module !== login && !auth.loggedIn() ? html`<div class="bar odd" role="alert">${icon('warning')}
      Your session has ended. <button @click=${() => auth.login(location.pathname + location.search + location.hash)}>Log in</button></div>` : nothing}
  `, root('bars'))
}

auth.changed.addEventListener('change', () => { bars(); header() })

reach.addEventListener('offline', () => {
  bars()
  const timer = setInterval(async () => {
    try {
      await fetch('/.well-known/ajour', { cache: 'no-store' })
      clearInterval(timer)
      reached(true)
    } catch { /* not yet */ }
  }, 2000)
})
reach.addEventListener('online', () => {
  bars()
  current?.page.reload?.()
})

/** What the keys do. @type {[string, string][]} */
const keys = [
  ['/', 'search'], ['g o', 'overview'], ['g b', 'builds'], ['g a', 'applications'], ['j', 'next row'], ['k', 'row before'],
  ['Enter', 'open the row'], ['?', 'this help'],
]

function help() {
  show('Keyboard', html`
    <dl class="keys">${keys.map(([key, text]) => html`<dt>${key.split(' ').map(k => html`<kbd>${k}</kbd> `)}</dt><dd>${text}</dd>`)}</dl>
    <label><input type="checkbox" .checked=${chosen('keys', true)}
      @change=${(/** @type {Event} */ e) => choose('keys', /** @type {HTMLInputElement} */ (e.target).checked)}> Letters do this</label>`)
}

let before = ''
document.addEventListener('keydown', event => {
  if (event.key === 'Escape') {
    for (const menu of document.querySelectorAll('details.menu[open]')) {
      menu.removeAttribute('open')
      menu.querySelector('summary')?.focus()
    }
    return
  }
  const target = event.target
  if (event.ctrlKey || event.metaKey || event.altKey || !chosen('keys', true) || document.querySelector('dialog[open]') ||
    target instanceof Element && target.closest('input:not([type=checkbox], [type=radio]), textarea, select')) return
  const typed = before === 'g' ? 'g ' + event.key : event.key
  before = event.key
  const act = {
    '/': () => /** @type {HTMLElement | null} */ (document.querySelector('[data-search]') || document.querySelector('input[type=search]'))?.focus(),
    'g o': () => go('/'), 'g b': () => go('/builds'), 'g a': () => go('/apps'), j: () => move(1), k: () => move(-1), '?': help,
  }[typed]
  if (!act) return
  event.preventDefault()
  act()
})

/** Moves the focus among rows. @param {number} by */
function move(by) {
  const rows = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('main a.row')])
  const at = rows.findIndex(r => r === document.activeElement)
  rows[at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1)]?.focus()
}

async function begin() {
  if (location.pathname === '/callback') {
    const answer = new URLSearchParams(location.search)
    history.replaceState(null, '', '/login')
    try {
      history.replaceState(null, '', await auth.finish(answer))
      login.done()
    } catch (error) {
      login.because(error)
    }
  }
  open()
  await info().catch(() => reached(false))
  for (let delay = 1000; auth.loggedIn(); delay = Math.min(delay * 2, 30_000)) {
    try {
      await whoAmI()
      header()
      redraw()
      return
    } catch { // the page says what is wrong
      await new Promise(resolve => setTimeout(resolve, delay))
    }
  }
}

begin()
