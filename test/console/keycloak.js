// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Login at a real Keycloak, which "go test" starts.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { launch, open } from './lib/browser.js'
import { until } from './lib/suite.js'

const { PORT, ISSUER } = process.env
const origin = `http://localhost:${PORT}`, keycloak = new URL(ISSUER).origin

let browser
before(async () => { browser = await launch() })
after(() => browser?.close())

/** A test in a window that nobody has used. What Keycloak's own pages complain about is not ours. */
const fresh = (name, f) => test(name, async () => {
  const window = await open(browser, [origin, `http://127.0.0.1:${PORT}`, keycloak])
  try {
    await f(window)
    assert.deepEqual(window.wrong.filter(text => !text.includes(keycloak)), [])
  } finally {
    await window.context.close()
  }
})

/** Logs in at Keycloak's page. */
async function login(page, user, path = '/') {
  await page.goto(origin + path)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.waitForURL(url => url.origin === keycloak)
  await page.locator('#username').fill(user)
  await page.locator('#password').fill('secret')
  await page.locator('#kc-login').click()
  await page.locator('summary', { hasText: user }).waitFor()
}

fresh('somebody with the role may build', async ({ page }) => {
  await login(page, 'ada', '/apps/of-ada')
  assert.equal(page.url(), origin + '/apps/of-ada')
  await until(() => page.getByRole('button', { name: 'Build', exact: true }).isEnabled(), 'may build')
})

fresh('somebody without it sees why not', async ({ page }) => {
  await login(page, 'bob', '/apps/of-bob')
  const button = page.getByRole('button', { name: 'Build', exact: true })
  await until(async () => (await button.getAttribute('title')) === 'You need the role trigger-build', 'the reason')
  assert.equal(await button.isDisabled(), true)
  await page.goto(origin + '/apps')
  await page.getByRole('link', { name: 'of-bob' }).waitFor()
  assert.equal(await page.getByRole('link', { name: 'of-ada' }).count(), 0)
})

fresh('a session goes on when its token expires', async ({ page }) => {
  await login(page, 'ada', '/builds')
  const access = () => page.evaluate(() => JSON.parse(sessionStorage.getItem('ajour.session')).access)
  const first = await access()
  await until(async () => (await access()) !== first, 'a new token')
  await page.reload()
  await page.locator('summary', { hasText: 'ada' }).waitFor()
  assert.equal(await page.getByText('Your session has ended.').count(), 0)
})

fresh('a session that an administrator ends is said to be over', async ({ page, wrong }) => {
  await login(page, 'bob', '/apps')
  await page.getByRole('link', { name: 'of-bob' }).waitFor()
  const answer = await fetch(`${origin}/test/end-sessions`, { method: 'POST', body: new URLSearchParams({ user: 'bob' }) })
  assert.equal(answer.status, 200)
  await page.getByText('Your session has ended.').waitFor()
  await page.getByRole('link', { name: 'of-bob' }).waitFor() // the page stays
  await page.getByRole('alert').getByRole('button', { name: 'Log in' }).click()
  await page.waitForURL(url => url.origin === keycloak)
  await page.locator('#password').waitFor()
  wrong.splice(0)
})

fresh('logout ends the session at Keycloak, too', async ({ page }) => {
  await login(page, 'ada')
  await page.locator('summary', { hasText: 'ada' }).click()
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.waitForURL(origin + '/login')
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.locator('#password').waitFor() // and not logged in at once
})

fresh('a second tab is logged in at once', async ({ page, context }) => {
  await login(page, 'ada')
  const second = await context.newPage()
  await second.goto(origin + '/apps/of-ada')
  await second.locator('summary', { hasText: 'ada' }).waitFor()
  assert.equal(second.url(), origin + '/apps/of-ada')
})

fresh('the address leads to the name that Keycloak sends people back to', async ({ page }) => {
  await page.goto(`http://127.0.0.1:${PORT}/apps`)
  await page.getByRole('link', { name: `Continue at localhost:${PORT}` }).click()
  await page.waitForURL(origin + '/apps')
  await page.getByRole('button', { name: 'Log in' }).waitFor()
})
