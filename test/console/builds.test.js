// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { shell } from './lib/dev.js'
import { suite, until } from './lib/suite.js'

const { test } = suite()
const made = 'printf x > firmware.bin'

test('the page of a build follows it to its end', async ({ page, dev, go }) => {
  const seenEnough = join(dev.dir, 'seen-enough') // a page that is slow to load sees the progress, too
  await dev.app('live', shell('live:main', `for i in \`seq 100\`; do echo "[$i/100] step"; [ -e '${seenEnough}' ] && break; sleep 0.2; done; ${made}`))
  const id = await dev.trigger('live')
  await go(`/builds/${id}`)
  await page.getByText('Building', { exact: true }).waitFor()
  const bar = page.locator('p.progress progress'), seen = []
  await until(async () => {
    const value = await bar.getAttribute('value', { timeout: 500 }).catch(() => undefined)
    if (value !== undefined && value !== seen.at(-1)) seen.push(value)
    if (seen.length > 2) await writeFile(seenEnough, '')
    return value === undefined
  }, 'the end of the progress')
  assert.deepEqual(seen.map(Number), seen.map(Number).toSorted((a, b) => a - b))
  await page.getByText('Succeeded', { exact: true }).first().waitFor()
  await page.getByText('[1/100] step').waitFor()
  assert.match(await page.title(), /^Succeeded · live /)
  await until(async () => (await page.locator('#live').textContent()) === 'live: Succeeded', 'what is said')
})

test('the overview counts, and shows what is active', async ({ page, dev, go }) => {
  await go('/')
  await dev.app('slow', shell('slow:main', `sleep 3; ${made}`))
  const id = await dev.trigger('slow')
  const active = page.getByRole('table', { name: 'Active builds' })
  await active.getByRole('link', { name: id.slice(-8) }).waitFor()
  await page.locator('.count', { hasText: 'active builds' }).getByText('1', { exact: true }).waitFor()
  await dev.ended(id)
  await page.getByRole('table', { name: 'Builds that ended last' }).getByRole('link', { name: id.slice(-8) }).waitFor()
  await active.waitFor({ state: 'detached' })
})

test('filters survive a reload and Back', async ({ page, dev, go }) => {
  await dev.app('good', shell('good:main', made))
  await dev.app('bad', shell('bad:main', 'exit 3'))
  const good = await dev.build('good'), bad = await dev.build('bad')
  const row = b => page.getByRole('table').getByRole('link', { name: b.id.slice(-8) })
  await go('/builds')
  await row(good).waitFor()
  await row(bad).waitFor()
  await page.getByRole('button', { name: 'Failed' }).click()
  await row(good).waitFor({ state: 'detached' })
  assert.equal(page.url(), dev.url + '/builds?status=Failed')
  await page.getByLabel('Application').fill('bad')
  await page.getByLabel('Application').press('Enter')
  await page.waitForURL(dev.url + '/builds?status=Failed&application=bad')
  await page.reload()
  await row(bad).waitFor()
  assert.equal(await page.getByLabel('Application').inputValue(), 'bad')
  assert.equal(await page.getByRole('button', { name: 'Failed' }).getAttribute('aria-pressed'), 'true')
  await row(bad).click()
  await page.getByRole('heading', { name: `Build ${bad.id.slice(-8)}` }).waitFor()
  await page.goBack()
  await row(bad).waitFor()
  assert.equal(page.url(), dev.url + '/builds?status=Failed&application=bad')
  await page.goBack()
  await page.waitForURL(dev.url + '/builds?status=Failed')
  await page.goBack()
  await row(good).waitFor()
  assert.equal(page.url(), dev.url + '/builds')
  await page.getByRole('searchbox', { name: 'Text in the builds' }).fill('no such text')
  await page.keyboard.press('Enter')
  await page.getByText('No build is like that.').waitFor()
})

test('what is chosen in a list is built', async ({ page, dev, go }) => {
  for (const name of ['one', 'two']) {
    await dev.app(name, shell(`${name}:main`, made))
    await dev.build(name)
  }
  await go('/builds?q=o')
  for (const name of ['one', 'two']) {
    await page.getByRole('row').filter({ has: page.getByRole('link', { name, exact: true }) }).getByRole('checkbox').check()
  }
  await page.getByRole('button', { name: 'Build 2 chosen ones again' }).click()
  await page.getByRole('button', { name: 'Build them' }).click()
  await until(async () => (await dev.get('/builds?application=one')).length === 2 && (await dev.get('/builds?application=two')).length === 2)
})

test('an end of an id leads to the build', async ({ page, dev, go }) => {
  await dev.app('short', shell('short:main', made))
  const b = await dev.build('short')
  await go(`/builds/${b.id.slice(-8)}`)
  await page.waitForURL(`${dev.url}/builds/${b.id}`)
  await page.getByText('Succeeded', { exact: true }).first().waitFor()
})

test('a device whose name is a path has its page', async ({ page, dev, go }) => {
  const name = '../é #7'
  await dev.app('odd', shell('odd:main', made))
  await dev.device('odd', name, { firmware: shell('odd:seven', made) })
  await go('/apps/odd')
  await page.getByRole('link', { name: '1 device' }).click()
  await page.getByRole('link', { name }).click()
  await page.getByRole('heading', { name }).waitFor()
  await page.getByRole('button', { name: 'Build', exact: true }).click()
  await page.getByText('Succeeded', { exact: true }).first().waitFor()
  const [b] = await dev.get(`/builds?${new URLSearchParams({ application: 'odd', device: name })}`)
  assert.equal(page.url(), `${dev.url}/builds/${b.id}`)
  await page.getByRole('link', { name }).click()
  await page.waitForURL(`${dev.url}/apps/odd/devices?device=${encodeURIComponent(name)}`)
  await page.getByRole('table', { name: 'Builds' }).getByRole('link', { name: b.id.slice(-8) }).waitFor()
  await page.reload()
  await page.getByRole('heading', { name }).waitFor()
})

test('a build that is nowhere is said to be nowhere', async ({ page, dev, wrong, go }) => {
  await go('/builds/00000000')
  await page.getByText('There is no such thing, or none that you may read').waitFor()
  assert.deepEqual(wrong.splice(0).filter(text => !text.includes('404')), [])
  await go('/apps/nowhere')
  await page.getByText('There is no such thing, or none that you may read').waitFor()
  assert.deepEqual(wrong.splice(0).filter(text => !text.includes('404')), [])
  await go('/nowhere')
  await page.getByRole('heading', { name: 'There is nothing here' }).waitFor()
})

test('a description that is wrong says where', async ({ page, dev, go }) => {
  await dev.app('wrong', shell('wrong:main', made, { timeout: 'soon', triggers: undefined }))
  await go('/apps/wrong')
  await page.getByText('spec.firmware.container.build.timeout').first().waitFor()
  await page.getByRole('button', { name: 'Build', exact: true }).isDisabled()
  const rejected = page.getByRole('table', { name: 'Builds' }).getByRole('link').first()
  await rejected.click()
  await page.getByRole('heading', { name: /^The description is wrong/ }).waitFor()
  await page.getByText('What to do:').waitFor()
})
