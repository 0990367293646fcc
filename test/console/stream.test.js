// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict'
import { shell } from './lib/dev.js'
import { suite, until } from './lib/suite.js'

const { test } = suite()
const made = 'printf x > firmware.bin'

test('a server that is away for a while is noticed, and found', async ({ page, dev, wrong, go }) => {
  await dev.app('away', shell('away:main', made))
  const b = await dev.build('away')
  await go('/builds')
  await page.getByRole('link', { name: b.id.slice(-8) }).waitFor()
  await page.context().setOffline(true)
  await page.getByText('The server cannot be reached. The console tries').waitFor()
  await page.getByRole('link', { name: b.id.slice(-8) }).waitFor() // the page stays
  const next = await dev.build('away')
  await page.context().setOffline(false)
  await page.getByText('The server cannot be reached. The console tries').waitFor({ state: 'detached' })
  await page.getByRole('link', { name: next.id.slice(-8) }).waitFor()
  assert.deepEqual(wrong.splice(0).filter(text => !text.includes('ERR_')), [])
})

test('a log that was cut off goes on where it was', async ({ page, dev, wrong, go }) => {
  await dev.app('cut', shell('cut:main', `i=0; while [ $i -lt 300 ]; do i=\`expr $i + 1\`; echo "line $i"; sleep 0.01; done; ${made}`))
  const id = await dev.trigger('cut')
  await go(`/builds/${id}`)
  const lines = page.locator('#build-firmware .line')
  await until(async () => (await lines.count()) > 50, 'some lines')
  await page.context().setOffline(true)
  const before = await lines.count()
  await page.getByText('The server cannot be reached. The console tries').waitFor()
  await page.context().setOffline(false)
  await dev.ended(id)
  await until(async () => (await lines.count()) === 300, 'all lines')
  assert.deepEqual(await lines.locator('.text').allTextContents(), Array.from({ length: 300 }, (_, i) => `line ${i + 1}`))
  assert.ok(before < 300)
  await page.getByText('Succeeded', { exact: true }).first().waitFor()
  wrong.splice(0)
})

test('a hidden tab listens to nothing, and is up to date when it is seen', async ({ page, dev, go }) => {
  await dev.app('hidden', shell('hidden:main', made))
  const open = new Set()
  page.on('request', r => { if (r.url().includes('/events')) open.add(r) })
  page.on('requestfinished', r => open.delete(r))
  page.on('requestfailed', r => open.delete(r))
  const shown = await dev.build('hidden')
  await go('/apps/hidden')
  await page.getByRole('link', { name: shown.id.slice(-8), exact: true }).waitFor()
  await until(() => open.size === 1, 'a stream')
  const hide = hidden => page.evaluate(hidden => {
    Object.defineProperty(document, 'hidden', { value: hidden, configurable: true })
    document.dispatchEvent(new Event('visibilitychange'))
  }, hidden)
  await hide(true)
  await until(() => open.size === 0, 'no stream')
  const b = await dev.build('hidden')
  await hide(false)
  await page.getByRole('link', { name: b.id.slice(-8), exact: true }).waitFor()
  assert.equal(open.size, 1)
})

test('an issuer that is away is not asked all the time', async ({ page, dev, wrong, go }) => {
  await go('/builds')
  await page.getByRole('heading', { name: 'Builds' }).waitFor()
  let calls = 0
  await page.route('**/realms/drogue/token', route => { calls++; return route.abort() })
  await page.route('**/api/builds/**', route => { calls++; return route.fulfill({ status: 401, body: '{}' }) })
  await page.evaluate(() => {
    const session = JSON.parse(sessionStorage.getItem('ajour.session'))
    sessionStorage.setItem('ajour.session', JSON.stringify({ ...session, until: Date.now() + 3600_000 }))
  })
  await page.reload()
  await until(() => calls > 4, 'calls')
  const before = calls, began = Date.now()
  await until(() => Date.now() - began > 3000, 'three seconds')
  assert.ok(calls - before < 30, `${calls - before} calls in three seconds`)
  wrong.splice(0)
})

test('a server that was started once more is used on', async ({ page, dev, wrong, go }) => {
  await dev.app('restart', shell('restart:main', made))
  const b = await dev.build('restart')
  await go(`/builds/${b.id}`)
  await page.getByText('Succeeded', { exact: true }).first().waitFor()
  await dev.kill()
  await page.getByText('The server cannot be reached. The console tries').waitFor()
  await dev.begin()
  await page.getByText('The server cannot be reached. The console tries').waitFor({ state: 'detached' })
  // The issuer of "ajour dev" begins anew, too.
  await page.getByText('Your session has ended.').waitFor()
  await page.getByText('Succeeded', { exact: true }).first().waitFor()
  wrong.splice(0)
})
