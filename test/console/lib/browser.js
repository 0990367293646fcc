// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Debian's Chromium, and a person who uses it.

import { createRequire } from 'node:module'

const modules = createRequire(process.env.MODULES + '/')
const { chromium } = modules('playwright-core')
export const axe = modules.resolve('axe-core/axe.min.js')

/** Starts a browser. */
export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--disable-sync',
  ],
})

/**
 * Opens a window that nobody has used before. What goes wrong in it is in "wrong": errors of the console,
 * reports of the content security policy, and requests that go elsewhere.
 */
export async function open(browser, origins, { width = 1280, height = 800, theme = 'light', ...more } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, ...more })
  const page = await context.newPage()
  page.setDefaultTimeout(15_000)
  const wrong = []
  page.on('console', m => { if (['error', 'warning'].includes(m.type())) wrong.push(`${m.text()} ${m.location().url}`) })
  page.on('pageerror', e => wrong.push(String(e)))
  page.on('request', r => {
    const url = new URL(r.url())
    if (!['blob:', 'data:'].includes(url.protocol) && !origins.includes(url.origin)) wrong.push(`a request to ${r.url()}`)
  })
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', e => console.error(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`))
  })
  return { page, context, wrong }
}

/**
 * Opens a window of somebody who has logged in to an "ajour dev". Only the first one does so: the others
 * begin with what its tab had then, and with no page.
 */
export async function enter(browser, dev, options) {
  const window = await open(browser, [dev.url], options)
  if (!dev.tab) {
    await login(window.page, dev)
    dev.tab = await window.page.evaluate(() => ({ session: { ...sessionStorage }, local: { ...localStorage } }))
    await window.page.goto('about:blank')
  } else {
    await window.context.addInitScript(({ session, local, url }) => {
      if (location.origin !== url || localStorage.getItem('entered')) return
      localStorage.setItem('entered', 'yes')
      Object.assign(localStorage, local)
      Object.assign(sessionStorage, session)
    }, { ...dev.tab, url: dev.url })
  }
  return window
}

/** Logs in by the link that "ajour dev" prints. */
export async function login(page, dev, path = '/') {
  await page.goto(dev.console)
  if (path !== '/') await page.goto(dev.url + path)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('button', { name: 'Log in as developer' }).click()
  await page.locator('summary', { hasText: 'developer' }).waitFor({ state: 'attached' })
}
