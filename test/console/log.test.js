// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict'
import { shell } from './lib/dev.js'
import { suite, until } from './lib/suite.js'

const { test } = suite()
const made = 'printf x > firmware.bin'

/** Builds with a script, and opens the page of the build. */
async function printed({ dev, go, page }, name, script) {
  await dev.app(name, shell(`${name}:main`, `${script}\n${made}`))
  const b = await dev.build(name)
  await go(`/builds/${b.id}`)
  await page.getByRole('button', { name: /^build-firmware/ }).waitFor()
  return b
}

const lines = page => page.locator('#build-firmware .line')
const text = async page => (await lines(page).locator('.text').allTextContents())

test('colours are shown, and a carriage return replaces its line', async w => {
  await printed(w, 'colours', String.raw`printf '\033[1;31merror:\033[0m no\n'; printf '10 %%\r50 %%\r100 %%\n'; printf 'end without a break'`)
  await until(async () => (await lines(w.page).count()) === 3, 'three lines')
  assert.deepEqual(await text(w.page), ['error: no', '100 %', 'end without a break'])
  assert.equal(await w.page.locator('.line .bold.c1').textContent(), 'error:')
})

test('hostile text is text', async w => {
  const hostile = ['<img src=x onerror="document.title=1">', '</pre><script>alert(1)</script>', '${7*7} {{7*7}}', 'javascript:alert(1)', '::group::<b>x</b>', '::endgroup::']
  await printed(w, 'hostile', [
    ...hostile.map(line => `printf '%s\\n' '${line}'`), String.raw`printf 'user\342\200\256gpj.exe\n'; printf '\033]8;;javascript:alert(1)\007click\033]8;;\007\n'; printf '\377\376 bytes\n'`,
    "head -c 70000 /dev/zero | tr '\\0' 'a'; echo",
  ].join('\n'))
  await until(async () => (await lines(w.page).count()) === 10, 'all lines')
  const got = await text(w.page)
  assert.deepEqual(got.slice(0, 9), [...hostile.slice(0, 4), '<b>x</b>', '::endgroup::', 'user[U+202E]gpj.exe', 'click', '\ufffd\ufffd bytes'])
  assert.match(got[9], /^a{65536} … the line is longer: see the raw log$/)
  assert.equal(await w.page.locator('.line img, .line script, .line b').count(), 0)
  assert.match(await w.page.title(), /^Succeeded/)
  await until(async () => (await w.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)), 'fits')
})

test('groups and steps fold', async w => {
  await printed(w, 'fold', "echo before; echo '::group::Memory'; echo inside; echo '::endgroup::'; echo after")
  const head = w.page.getByRole('button', { name: 'Memory' }), inside = w.page.locator('.line', { hasText: 'inside' })
  await head.waitFor()
  assert.equal(await head.getAttribute('aria-expanded'), 'false')
  assert.equal(await inside.isVisible(), false)
  await head.click()
  await inside.waitFor()
  await head.click()
  await inside.waitFor({ state: 'hidden' })
  const step = w.page.getByRole('button', { name: /^build-firmware/ })
  await step.click()
  await until(async () => await step.getAttribute('aria-expanded') === 'false', 'the step is folded')
  await lines(w.page).first().waitFor({ state: 'detached' })
  await w.page.getByRole('button', { name: /^fetch-source/ }).click()
  await w.page.locator('#fetch-source .line').first().waitFor()
})

test('what is searched for is found, in all steps', async w => {
  await printed(w, 'search', 'for i in `seq 1 300`; do echo "line $i of Needle"; done; echo needle; echo \'::group::folded\'; echo "a needle inside"; echo \'::endgroup::\'')
  const field = w.page.getByRole('searchbox', { name: 'Search the log' }), hits = w.page.locator('.hits')
  await lines(w.page).first().waitFor()
  await field.fill('needle')
  await until(async () => (await hits.textContent()) === '0 of 302', 'the hits')
  await w.page.getByRole('button', { name: 'Capital letters count' }).click()
  await until(async () => (await hits.textContent()) === '0 of 2', 'exact hits')
  await field.press('Enter')
  await w.page.locator('.line.hit', { hasText: /^301needle$/ }).or(w.page.locator('.line.hit')).first().waitFor()
  assert.equal(await hits.textContent(), '1 of 2')
  await field.press('Enter')
  await w.page.locator('.line.hit', { hasText: 'a needle inside' }).waitFor() // its group has opened
  await field.press('Enter')
  await until(async () => (await hits.textContent()) === '1 of 2', 'from the beginning')
  await field.press('Shift+Enter')
  await until(async () => (await hits.textContent()) === '2 of 2', 'backwards')
  await w.page.getByRole('button', { name: 'Regular expression' }).click()
  await field.fill('^line 1[0-9]{2} ')
  await until(async () => (await hits.textContent()) === '0 of 100', 'by an expression')
  await field.fill('(')
  await w.page.getByText('This is no regular expression').waitFor()
})

test('a line has a link of its own', async w => {
  const b = await printed(w, 'link', 'for i in `seq 1 900`; do echo "line $i"; done')
  await lines(w.page).nth(4).locator('.n').click()
  await w.page.waitForURL(url => url.hash === '#build-firmware:L5')
  await w.page.locator('.line.marked', { hasText: 'line 5' }).waitFor()
  await lines(w.page).nth(7).locator('.n').click({ modifiers: ['Shift'] })
  await w.page.waitForURL(url => url.hash === '#build-firmware:L5-L8')
  await until(async () => (await w.page.locator('.line.marked').count()) === 4, 'four lines')
  await w.go('/')
  await w.go(`/builds/${b.id}#build-firmware:L700`)
  const line = w.page.locator('.line.marked')
  await line.waitFor()
  assert.equal(await line.locator('.text').textContent(), 'line 700')
  await until(() => line.evaluate(l => l.getBoundingClientRect().top > 0 && l.getBoundingClientRect().bottom < innerHeight), 'in sight')
})

test('the message of a failure leads to its line', async w => {
  await w.dev.app('failure', shell('failure:main', `for i in \`seq 1 50\`; do echo "line $i"; done; echo "src/main.c:10:5: error: 'foo' undeclared" >&2; exit 1`))
  const b = await w.dev.build('failure')
  await w.go(`/builds/${b.id}`)
  await w.page.getByRole('heading', { name: /The builder exited with an error/ }).waitFor()
  await w.page.getByText('What to do: Read the log').waitFor()
  await w.page.getByRole('link', { name: 'line 51' }).click()
  await w.page.locator('.line.marked', { hasText: 'error: \'foo\' undeclared' }).waitFor()
})

test('it does so for somebody who has watched', async w => {
  await w.dev.app('watched', shell('watched:main', 'echo begun; sleep 2; echo "a.c:1: error: no such thing" >&2; exit 1'))
  const id = await w.dev.trigger('watched')
  await w.go(`/builds/${id}`)
  await w.page.getByText('begun').waitFor()
  await w.page.getByRole('link', { name: 'line 2' }).click()
  await w.page.locator('.line.marked', { hasText: 'no such thing' }).waitFor()
})

test('a step leads to its log from everywhere', async w => {
  const b = await printed(w, 'steps', 'echo here')
  await w.go(`/builds/${b.id}?tab=details`)
  await w.page.getByRole('list', { name: 'Steps' }).getByRole('link', { name: /build-firmware/ }).click()
  await w.page.locator('.line', { hasText: 'here' }).waitFor()
})

test('a log that its server ends politely goes on', async w => {
  await w.dev.app('polite', shell('polite:main', `for i in 1 2 3 4 5 6; do echo "line $i"; sleep 0.3; done; ${made}`))
  let cuts = 0
  await w.page.route('**/log?*step=build-firmware*', async route => {
    if (cuts++) return route.continue()
    await route.fulfill({ contentType: 'application/x-ndjson', body: '{"step":"build-firmware","n":1,"o":0,"line":"line 1"}\n' })
  })
  const id = await w.dev.trigger('polite')
  await w.go(`/builds/${id}`)
  await w.dev.ended(id)
  await until(async () => (await lines(w.page).count()) === 6, 'all lines')
  assert.deepEqual(await text(w.page), [1, 2, 3, 4, 5, 6].map(i => `line ${i}`))
  assert.ok(cuts > 1)
})

test('a step that prints nothing for long is asked once more', async ({ dev, go, page }) => {
  await dev.app('dead', shell('dead:main', `echo one; echo two; sleep 60; ${made}`))
  const id = await dev.trigger('dead')
  await page.addInitScript(() => { // ten minutes are a second
    const real = setTimeout
    globalThis.setTimeout = (f, ms, ...more) => real(f, ms === 600_000 ? 1000 : ms, ...more)
  })
  await go(`/builds/${id}`)
  await lines(page).getByText('two').waitFor()
  for (let i = 0; i < 2; i++) {
    await page.waitForResponse(r => r.url().includes('/log?') && new URL(r.url()).searchParams.get('offset') === '4')
  }
  await until(async () => (await text(page)).join() === 'one,two', 'the lines are there once')
  assert.equal(await page.getByRole('alert').count(), 0)
})

test('times, wrapping and their choice', async w => {
  const b = await printed(w, 'choice', 'echo one')
  await lines(w.page).first().waitFor()
  assert.equal(await w.page.locator('.line time').first().isVisible(), false)
  await w.page.getByLabel('Times').check()
  assert.match(await w.page.locator('.line time').first().textContent(), /^\d\d:\d\d:\d\d\.\d{3}$/)
  await w.page.getByLabel('Wrap').uncheck()
  await w.go(`/builds/${b.id}`)
  await w.page.locator('.log.long .line time').first().waitFor()
})

test('what a running build prints is followed, unless somebody reads', async w => {
  await w.dev.app('follow', shell('follow:main', `i=0; while [ $i -lt 400 ]; do i=\`expr $i + 1\`; echo "line $i"; sleep 0.01; done; ${made}`))
  const id = await w.dev.trigger('follow')
  await w.go(`/builds/${id}`)
  const end = () => w.page.evaluate(() => innerHeight + scrollY >= document.documentElement.scrollHeight - 60)
  await until(async () => (await lines(w.page).count()) > 80, 'some lines')
  assert.ok(await end())
  await w.page.mouse.wheel(0, -600)
  await w.page.getByRole('button', { name: 'New lines' }).waitFor()
  const before = await lines(w.page).count()
  await until(async () => (await lines(w.page).count()) > before + 20, 'more lines')
  assert.equal(await end(), false)
  await w.page.getByRole('button', { name: 'New lines' }).click()
  await until(end, 'at the end')
  await w.dev.ended(id)
  await until(async () => (await lines(w.page).count()) === 400, 'all lines')
  assert.deepEqual(await text(w.page), Array.from({ length: 400 }, (_, i) => `line ${i + 1}`))
})

test('sixteen megabytes are read, and searched', async w => {
  const count = 160_000
  await w.dev.app('big', shell('big:main', `seq -f 'line %.0f ${'x'.repeat(88)}' ${count}; ${made}`))
  const b = await w.dev.build('big')
  await w.go(`/builds/${b.id}`)
  const last = w.page.locator(`[id="build-firmware:L${count}"]`)
  await last.waitFor({ state: 'attached' })
  assert.equal(await lines(w.page).count(), 20_000)
  const field = w.page.getByRole('searchbox', { name: 'Search the log' })
  await field.fill('line 77 x')
  await until(async () => (await w.page.locator('.hits').textContent()) === '0 of 1', 'the hit')
  await field.press('Enter')
  await w.page.locator('.line.hit', { hasText: 'line 77 x' }).waitFor()
  await w.page.getByRole('button', { name: /^Load the end/ }).click()
  await last.waitFor({ state: 'attached' })
  await w.page.getByRole('button', { name: /^Load earlier/ }).click()
  await until(async () => (await lines(w.page).count()) === 40_000, 'twice as many')
  for (const n of [100, 80_000, count]) {
    await w.go('/')
    await w.go(`/builds/${b.id}#build-firmware:L${n}`)
    await w.page.locator('.line.marked', { hasText: `line ${n} ` }).waitFor()
  }
})

test('a step that printed nothing says so', async w => {
  await printed(w, 'quiet', ':')
  await w.page.getByText('This step printed nothing.').waitFor()
})
