// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { launch, login, open } from './lib/browser.js'
import { start } from './lib/dev.js'

let dev, browser
before(async () => {
  dev = await start()
  browser = await launch()
})
after(async () => {
  await browser?.close()
  await dev?.stop()
})

/** A test in a window that nobody has used. */
const fresh = (name, f) => test(name, async () => {
  const window = await open(browser, [dev.url])
  try {
    await f(window)
  } finally {
    await window.context.close()
  }
})

fresh('the link that was printed logs in, with one button', async ({ page, wrong }) => {
  await login(page, dev)
  assert.equal(new URL(page.url()).pathname, '/')
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  assert.deepEqual(wrong, [])
})

fresh('whoever has no link needs the password', async ({ page }) => {
  await page.goto(dev.url + '/apps?q=x')
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByLabel('Password').fill('wrong')
  await page.getByRole('button', { name: 'Log in as developer' }).click()
  await page.getByText('That is not the password.').waitFor()
  await page.getByLabel('Password').fill(dev.password)
  await page.getByRole('button', { name: 'Log in as developer' }).click()
  await page.getByRole('heading', { name: 'Applications' }).waitFor()
  assert.equal(page.url(), dev.url + '/apps?q=x')
})

fresh('a session survives a reload, and not its tab', async ({ page, context, wrong }) => {
  await login(page, dev, '/builds?status=Failed')
  assert.equal(page.url(), dev.url + '/builds?status=Failed')
  await page.reload()
  await page.locator('summary', { hasText: 'developer' }).waitFor()
  const second = await context.newPage()
  await second.goto(dev.url + '/builds')
  // A browser that has logged in before is taken to the issuer at once.
  await second.getByRole('button', { name: 'Log in as developer' }).click()
  await second.getByRole('heading', { name: 'Builds' }).waitFor()
  assert.deepEqual(wrong, [])
})

fresh('a login that this tab has not begun is refused', async ({ page }) => {
  await page.goto(dev.url + '/callback?code=stolen&state=x')
  await page.getByText('This login was not begun in this tab').waitFor()
})

fresh('an answer of the wrong issuer is refused', async ({ page }) => {
  await page.goto(dev.url + '/')
  await page.getByRole('button', { name: 'Log in' }).waitFor()
  await page.evaluate(() => sessionStorage.setItem('ajour.login', JSON.stringify({ state: 's', nonce: 'n', verifier: 'v', to: '/' })))
  await page.goto(dev.url + '/callback?code=x&state=s&iss=https://evil.example')
  await page.getByText('The answer is of a different issuer').waitFor()
})

fresh('logout ends the session, here and at the issuer', async ({ page }) => {
  await login(page, dev)
  const { refresh } = await page.evaluate(() => JSON.parse(sessionStorage.getItem('ajour.session')))
  await page.locator('summary', { hasText: 'developer' }).click()
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.waitForURL(dev.url + '/login')
  await page.getByRole('button', { name: 'Log in' }).waitFor()
  assert.equal(await page.evaluate(() => sessionStorage.getItem('ajour.session')), null)
  const answer = await fetch(`${dev.issuer}/token`, {
    method: 'POST', body: new URLSearchParams({ grant_type: 'refresh_token', client_id: 'drogue', refresh_token: refresh }),
  })
  assert.equal(answer.status, 400)
  await page.goto(dev.url + '/builds')
  await page.getByRole('button', { name: 'Log in' }).waitFor()
})

fresh('a token that has expired is renewed unseen', async ({ page, wrong }) => {
  await login(page, dev, '/builds')
  const before = await page.evaluate(() => {
    const session = JSON.parse(sessionStorage.getItem('ajour.session'))
    sessionStorage.setItem('ajour.session', JSON.stringify({ ...session, until: Date.now() - 1000 }))
    return session.access
  })
  await page.reload()
  await page.getByRole('heading', { name: 'Builds' }).waitFor()
  await page.waitForFunction(before => JSON.parse(sessionStorage.getItem('ajour.session')).access !== before, before)
  assert.deepEqual(wrong, [])
})

fresh('a session that has ended says so, and leaves the page as it is', async ({ page }) => {
  await login(page, dev, '/apps?q=pump')
  await page.getByRole('searchbox', { name: 'Part of the name' }).waitFor()
  await dev.kill()
  await dev.begin() // whose issuer knows nobody any more
  await page.getByText('Your session has ended.').waitFor()
  assert.equal(await page.getByRole('searchbox', { name: 'Part of the name' }).inputValue(), 'pump')
  await page.goto(dev.console) // the cookie is that of the former one
  await page.goto(dev.url + '/apps?q=pump')
  await page.getByRole('button', { name: 'Log in as developer' }).or(page.getByRole('button', { name: 'Log in', exact: true })).first().click()
  const button = page.getByRole('button', { name: 'Log in as developer' })
  await button.or(page.locator('summary', { hasText: 'developer' })).first().waitFor()
  if (await button.isVisible()) await button.click()
  await page.locator('summary', { hasText: 'developer' }).waitFor()
  assert.equal(page.url(), dev.url + '/apps?q=pump')
})
