// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// What most files of tests have: an "ajour dev", a browser, and nothing that goes wrong in it.

import assert from 'node:assert/strict'
import { after, before, test as one } from 'node:test'
import { enter, launch } from './browser.js'
import { start } from './dev.js'

/** @param {{args?: string[]}} [options] */
export function suite(options) {
  const s = { dev: undefined, browser: undefined }
  before(async () => {
    s.dev = await start(options)
    s.browser = await launch()
  })
  after(async () => {
    await s.browser?.close()
    await s.dev?.stop()
  })
  /**
   * A test with a window of its own, of somebody who has logged in. What the test expects to go wrong, it
   * takes out of "wrong".
   */
  s.test = (name, f, window) => one(name, async () => {
    const w = await enter(s.browser, s.dev, window)
    try {
      await f({ ...w, dev: s.dev, browser: s.browser, go: path => w.page.goto(s.dev.url + path) })
      assert.deepEqual(w.wrong, [])
    } finally {
      await w.context.close()
    }
  })
  return s
}

/** Waits until something holds. */
export async function until(holds, what = holds) {
  for (const end = Date.now() + 20_000; !await holds();) {
    if (Date.now() > end) throw new Error(`still not: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}
