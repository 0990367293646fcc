// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict'
import { createServer, request } from 'node:http'
import { test as one } from 'node:test'
import { enter, launch } from './lib/browser.js'
import { shell, start } from './lib/dev.js'
import { suite, until } from './lib/suite.js'

const { test } = suite()
const made = 'printf x > firmware.bin'

test('a build is cancelled after a question', async ({ page, dev, go }) => {
  await dev.app('long', shell('long:main', `sleep 60; ${made}`))
  const id = await dev.trigger('long')
  await go(`/builds/${id}`)
  const button = page.getByRole('button', { name: 'Cancel', exact: true })
  await button.click()
  await page.getByRole('button', { name: 'Leave it' }).click()
  await until(() => button.evaluate(b => b === document.activeElement), 'the focus is back')
  assert.equal((await dev.get(`/builds/${id}`)).status, 'Running')
  await button.click()
  await page.getByRole('button', { name: 'Cancel the build' }).click()
  await page.getByText('Cancelled', { exact: true }).first().waitFor()
  assert.equal((await dev.ended(id)).status, 'Cancelled')
  await page.getByRole('button', { name: 'Rerun' }).waitFor()
})

test('a rerun builds the same commit', async ({ page, dev, go }) => {
  await dev.app('same', shell('same:main', made))
  const b = await dev.build('same')
  await go(`/builds/${b.id}`)
  await page.getByRole('button', { name: 'Rerun' }).click()
  await page.waitForURL(url => url.pathname !== `/builds/${b.id}`)
  await page.getByText('Succeeded', { exact: true }).first().waitFor()
  const after = await dev.get(new URL(page.url()).pathname)
  assert.deepEqual([after.cause, after.commit], ['rerun', b.commit])
})

test('firmware and a log are saved', async ({ page, dev, go }) => {
  await dev.app('saved', shell('saved:main', 'printf hello > firmware.bin; echo printed'))
  const b = await dev.build('saved')
  await go(`/builds/${b.id}`)
  const saved = async button => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: button, exact: true }).click()])
    const chunks = []
    for await (const chunk of await download.createReadStream()) chunks.push(chunk)
    return [download.suggestedFilename(), Buffer.concat(chunks).toString()]
  }
  assert.deepEqual(await saved('Download firmware'), [`saved-${b.artifact.version}.bin`, 'hello'])
  const [name, text] = await saved('Download')
  assert.equal(name, `saved-${b.id.slice(-8)}.log`)
  assert.match(text, /== build-firmware\nprinted\n/)
  await page.getByRole('link', { name: 'Artifact' }).click()
  for (const fact of [b.artifact.reference, b.artifact.digest, b.artifact.sha256, '5 B']) await page.getByText(fact, { exact: true }).waitFor()
})

test('the description of a build is compared with the one before', async ({ page, dev, go }) => {
  await dev.app('changed', shell('changed:main', made))
  await dev.build('changed')
  await dev.describe('changed', shell('changed:next', made))
  const b = await dev.build('changed')
  await go(`/builds/${b.id}?tab=description`)
  await page.locator('.diff .removed', { hasText: 'changed:main' }).waitFor()
  await page.locator('.diff .added', { hasText: 'changed:next' }).waitFor()
  await page.locator('pre.yaml', { hasText: 'image: changed:next' }).waitFor()
})

test('the menu of a row knows what may be done', async ({ page, dev, go }) => {
  await dev.app('menu', shell('menu:main', made))
  const b = await dev.build('menu')
  await go('/builds?application=menu')
  await page.getByLabel(`Actions of ${b.id.slice(-8)}`).click()
  await until(() => page.getByRole('button', { name: 'Rerun' }).isEnabled(), 'may be rerun')
  assert.equal(await page.getByRole('button', { name: 'Publish again' }).isDisabled(), true)
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'Rerun' }).waitFor({ state: 'hidden' })
})

one('what no registry took is published again', async () => {
  let refuses = true, dev
  const proxy = createServer((req, res) => {
    if (refuses) return res.writeHead(403, { 'Content-Type': 'application/json' }).end('{"errors":[{"code":"DENIED","message":"the quota is reached"}]}')
    const to = new URL(dev.url)
    req.pipe(request({ host: to.hostname, port: to.port, path: req.url, method: req.method, headers: req.headers }, answer => {
      res.writeHead(answer.statusCode, answer.headers)
      answer.pipe(res)
    }))
  })
  await new Promise(resolve => proxy.listen(0, '127.0.0.1', resolve))
  const browser = await launch()
  try {
    dev = await start({ args: [`--registry=127.0.0.1:${proxy.address().port}/`, '--registry-plain-http'] })
    await dev.app('denied', shell('denied:main', made))
    const b = await dev.build('denied')
    const { page, wrong } = await enter(browser, dev)
    await page.goto(`${dev.url}/builds/${b.id}`)
    await page.getByRole('heading', { name: /RegistryPushFailed|RegistryAuthFailed/ }).waitFor()
    refuses = false
    await page.getByRole('button', { name: 'Publish again' }).click()
    await page.waitForURL(url => url.pathname !== `/builds/${b.id}`)
    await page.getByText('Succeeded', { exact: true }).first().waitFor()
    await page.getByRole('link', { name: 'Details' }).click()
    await page.getByRole('link', { name: b.id.slice(-8) }).waitFor()
    assert.deepEqual(wrong, [])
  } finally {
    await browser.close()
    await dev?.stop()
    proxy.close()
    proxy.closeAllConnections()
  }
})
