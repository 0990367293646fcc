// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { axe } from './lib/browser.js'
import { reported, shell } from './lib/dev.js'
import { suite, until } from './lib/suite.js'

const { test } = suite()
const made = 'printf x > firmware.bin'

/** Makes something of each kind, once, and returns the paths of all pages. */
let pages
const all = async dev => pages ??= await (async () => {
  await dev.app('a', shell('a:main', `echo '::group::g'; echo x; echo '::endgroup::'; printf '\\033[31mred\\033[0m \\033[2;33mdim\\033[0m\\n'; ${made}`), { metadata: { labels: { zone: 'north' } } })
  await dev.app('none')
  await dev.app('wrong', shell('wrong:main', made, { timeout: 'soon', triggers: undefined }))
  await dev.app('bad', shell('bad:main', 'echo "a.c:1: error: no"; exit 1'))
  await dev.app('slow', shell('slow:main', `sleep 300; ${made}`))
  await dev.build('a')
  const ok = await dev.build('a'), bad = await dev.build('bad')
  await dev.device('a', 'updating', { status: reported('1', '2', false, 40) })
  await dev.device('a', 'synced', { status: reported('main', 'main', true), labels: { kind: 'x' } })
  await dev.device('a', '../é #7', { firmware: shell('a:seven', made) })
  const slow = await dev.trigger('slow')
  await dev.until(slow, b => b.status === 'Running')
  return {
    overview: '/', builds: '/builds', filtered: '/builds?status=Failed&application=bad', nothing: '/builds?q=nothing', build: `/builds/${ok.id}`,
    failed: `/builds/${bad.id}`, running: `/builds/${slow}`, artifact: `/builds/${ok.id}?tab=artifact`, description: `/builds/${ok.id}?tab=description`,
    details: `/builds/${ok.id}?tab=details`, apps: '/apps', app: '/apps/a', empty: '/apps/none', wrong: '/apps/wrong', devices: '/apps/a/devices',
    device: '/apps/a/devices?device=updating', own: `/apps/a/devices?device=${encodeURIComponent('../é #7')}`, edit: '/apps/a/edit', nowhere: '/nowhere',
  }
})()

// The same page in all looks: widths and themes are a matter of style sheets.
const looks = ['light', 'dark'].flatMap(theme => [1280, 360].map(width => ({ theme, width })))

test('every page is accessible, in light and dark, at 1280 and 360 pixels', async ({ page, dev, go }) => {
  const source = await readFile(axe, 'utf8'), found = []
  const check = async (name, only = looks) => {
    await page.waitForFunction(() => !document.querySelector('.loading'))
    // By the debugger, which the policy of the page does not bind.
    await page.evaluate(source)
    for (const { theme, width } of only) {
      const look = `${name}, ${theme} at ${width}`
      await page.setViewportSize({ width, height: 800 })
      await page.emulateMedia({ colorScheme: theme })
      const { violations } = await page.evaluate(() => globalThis.axe.run({
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      }))
      for (const v of violations) found.push(`${look}: ${v.id}: ${v.help}: ${v.nodes.map(n => n.html.slice(0, 160)).slice(0, 3).join(' | ')}`)
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      if (wide > 0) found.push(`${look} is ${wide} pixels too wide`)
    }
  }
  for (const [name, path] of Object.entries(await all(dev))) {
    await go(path)
    await page.locator('main h1').waitFor()
    await check(name)
  }
  await go('/builds')
  await page.locator('summary[aria-label^=Actions]').first().click()
  await check('a menu')
  await page.keyboard.press('Escape')
  await page.keyboard.press('?')
  await page.getByRole('dialog').waitFor()
  await check('help')
  await page.keyboard.press('Escape')
  for (const width of [1280, 360]) { // where it opens differs
    await page.setViewportSize({ width, height: 800 })
    if (width < 768) await page.getByRole('button', { name: 'Menu' }).click()
    await page.locator('summary', { hasText: 'developer' }).click()
    await check('the menu of the user', looks.filter(look => look.width === width))
    await page.keyboard.press('Escape')
  }
  await page.evaluate(() => { sessionStorage.clear(); localStorage.clear(); localStorage.setItem('entered', 'yes') })
  await go('/login')
  await page.getByRole('button', { name: 'Log in' }).waitFor()
  await check('login')
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('button', { name: 'Log in as developer' }).waitFor()
  await check('the page of the issuer')
  assert.deepEqual(found, [])
})

test('no page is wider than a small phone', async ({ page, dev, go }) => {
  const wide = []
  for (const [name, path] of Object.entries(await all(dev))) {
    await go(path)
    await page.waitForFunction(() => document.querySelector('main h1') && !document.querySelector('.loading'))
    const by = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    if (by > 0) wide.push(`${name} by ${by}`)
  }
  assert.deepEqual(wide, [])
}, { width: 320, height: 640 })

test('the chosen theme is there before the page is', async ({ page, go }) => {
  await go('/')
  await page.locator('summary', { hasText: 'developer' }).click()
  await page.getByLabel('Dark').check()
  await go('/builds')
  assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme), 'dark')
})

test('keys alone lead from a trigger to a cancel', async ({ page, dev, go }) => {
  await dev.app('keys', shell('keys:main', `echo begun; sleep 60; ${made}`))
  await go('/')
  await page.getByRole('heading', { level: 1 }).waitFor()
  /** Presses Tab until something has the focus. */
  const tab = async target => {
    for (let i = 0; i < 60; i++) {
      if (await target.evaluate(e => e === document.activeElement).catch(() => false)) return
      await page.keyboard.press('Tab')
    }
    throw new Error(`the focus does not come to ${target}`)
  }
  await page.keyboard.press('g')
  await page.keyboard.press('a')
  await page.getByRole('heading', { name: 'Applications' }).waitFor()
  const row = page.getByRole('link', { name: 'keys', exact: true })
  await row.waitFor()
  for (let i = 0; i < 20 && !await row.evaluate(e => e === document.activeElement); i++) await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'keys' }).waitFor()
  await tab(page.getByRole('button', { name: 'Build', exact: true }))
  await page.keyboard.press('Enter')
  await page.getByText('begun').waitFor()
  const heading = page.getByRole('heading', { name: /^Build/, level: 1 })
  await until(() => heading.evaluate(h => h === document.activeElement), 'the heading has the focus')
  await tab(page.getByRole('button', { name: 'Cancel', exact: true }))
  await page.keyboard.press('Enter')
  await tab(page.getByRole('button', { name: 'Cancel the build' }))
  await page.keyboard.press('Enter')
  await page.getByText('Cancelled', { exact: true }).first().waitFor()
})

test('letters do nothing for those who say so', async ({ page, go }) => {
  await go('/')
  await page.getByRole('heading', { level: 1 }).waitFor()
  await page.keyboard.press('?')
  await page.getByLabel('Letters do this').uncheck()
  await page.keyboard.press('Escape')
  await page.keyboard.press('g')
  await page.keyboard.press('b')
  await page.keyboard.press('?')
  assert.equal(new URL(page.url()).pathname, '/')
  assert.equal(await page.getByRole('dialog').count(), 0)
  await go('/builds')
})

