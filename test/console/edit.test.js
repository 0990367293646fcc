// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict'
import { registry, shell } from './lib/dev.js'
import { suite, until } from './lib/suite.js'

const { test } = suite()
const made = 'printf x > firmware.bin'

const firmware = async (dev, path) => (await dev.call(registry + path)).spec.firmware

test('a description is written for an application that has none, and built', async ({ page, dev, go }) => {
  await dev.app('first')
  await go('/apps/first')
  await page.getByRole('link', { name: 'Write a description' }).click()
  const text = page.getByRole('textbox', { name: /The section/ })
  assert.match(await text.inputValue(), /image: first:main/)
  await text.fill(`container:
  image: first:main
  build:
    image: shell:1
    source: {git: {uri: "${process.env.REPOSITORY}", rev: main, project: .}}
    args: ["-c", "${made}"]
    artifact: {path: firmware.bin}
`)
  await page.getByText('It can be built').waitFor()
  await page.getByRole('button', { name: 'Review the changes' }).click()
  await page.locator('.diff .added', { hasText: 'image: shell:1' }).waitFor()
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.waitForURL(dev.url + '/apps/first')
  await page.getByRole('table', { name: 'Builds' }).getByText('Succeeded').waitFor() // a description that changes is built
})

test('what is wrong is said while somebody types, and not saved', async ({ page, dev, go }) => {
  await dev.app('typed', shell('typed:main', made))
  await go('/apps/typed/edit')
  const text = page.getByRole('textbox', { name: /The section/ })
  const before = await text.inputValue()
  await text.fill(before.replace('path: firmware.bin', 'path: ../firmware.bin') + '  more: 1\n')
  await page.getByText('spec.firmware.container.build.artifact.path').waitFor()
  assert.equal(await page.getByRole('button', { name: 'Review the changes' }).isDisabled(), true)
  await text.fill('container: [')
  await page.locator('.remarks.bad').waitFor()
  assert.equal(await page.getByRole('button', { name: 'Review the changes' }).isDisabled(), true)
  await text.fill(before)
  await page.getByText('It can be built').waitFor()
  assert.equal(await page.getByRole('button', { name: 'Review the changes' }).isDisabled(), true) // nothing has changed
})

test('what somebody else has written meanwhile is not lost', async ({ page, dev, wrong, go }) => {
  await dev.app('both', shell('both:main', made))
  await go('/apps/both/edit')
  const text = page.getByRole('textbox', { name: /The section/ })
  await text.fill((await text.inputValue()).replace('both:main', 'both:mine'))
  await dev.describe('both', shell('both:main', made, { timeout: '7m0s' }))
  await page.getByRole('button', { name: 'Review the changes' }).click()
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByText('Somebody else has changed the description meanwhile').waitFor()
  await page.locator('.remedy .removed', { hasText: 'timeout: "7m0s"' }).waitFor()
  await page.locator('.remedy .added', { hasText: 'both:mine' }).waitFor()
  assert.equal((await firmware(dev, '/apps/both')).container.image, 'both:main')
  assert.deepEqual(wrong.splice(0).filter(line => !line.includes('412')), [])
  await text.fill((await text.inputValue()).replace('  build:\n', '  build:\n    timeout: "7m0s"\n'))
  await page.getByRole('button', { name: 'Keep mine to save it' }).click()
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.waitForURL(dev.url + '/apps/both')
  const now = (await firmware(dev, '/apps/both')).container
  assert.deepEqual([now.image, now.build.timeout], ['both:mine', '7m0s'])
})

test('what was not saved is there when somebody comes back', async ({ page, dev, go }) => {
  await dev.app('draft', shell('draft:main', made))
  await go('/apps/draft/edit')
  const text = page.getByRole('textbox', { name: /The section/ })
  await text.fill((await text.inputValue()).replace('draft:main', 'draft:mine'))
  await page.getByRole('link', { name: 'Builds' }).click()
  await page.getByRole('heading', { name: 'Builds' }).waitFor()
  await page.goBack()
  await page.getByText('This is what you have written before').waitFor()
  assert.match(await text.inputValue(), /draft:mine/)
  await page.getByRole('button', { name: 'Discard it' }).click()
  await until(async () => /draft:main/.test(await text.inputValue()), 'what is saved')
})

test('the description of a device is edited, whatever its name', async ({ page, dev, go }) => {
  const name = '../é #7'
  await dev.app('fleet', shell('fleet:main', made))
  await dev.device('fleet', name, { firmware: shell('fleet:seven', made) })
  await go(`/apps/fleet/devices?device=${encodeURIComponent(name)}`)
  await page.getByRole('link', { name: 'Edit' }).click()
  const text = page.getByRole('textbox', { name: /The section/ })
  await text.fill((await text.inputValue()).replace('fleet:seven', 'fleet:eight'))
  await page.getByRole('button', { name: 'Review the changes' }).click()
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await until(async () => (await firmware(dev, `/apps/fleet/devices/${encodeURIComponent(name)}`)).container.image === 'fleet:eight')
  await page.getByRole('heading', { name }).waitFor()
})
