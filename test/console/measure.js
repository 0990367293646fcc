// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Measures how long the console takes, with the builds and the devices of a large installation. It prints
// a JSON object of lists of milliseconds.

import { enter, launch } from './lib/browser.js'
import { reported, shell, start } from './lib/dev.js'

const devices = 10_000, builds = 200, lines = 160_000, times = 7
const made = 'printf x > firmware.bin'

const dev = await start({ args: ['--parallel=4'] })
const browser = await launch()
try {
  await dev.app('fleet', shell('fleet:main', made))
  const ids = Array.from({ length: devices }, (_, i) => i)
  await Promise.all(Array.from({ length: 64 }, async () => {
    for (let i = ids.pop(); i !== undefined; i = ids.pop()) {
      await dev.device('fleet', `device-${String(i).padStart(5, '0')}`, { status: reported('main', 'main', i % 10 > 0, i % 10 ? undefined : i % 100) })
    }
  }))
  await Promise.all(Array.from({ length: builds / 20 }, async (_, i) => { // twenty builds of an object stay
    await dev.app(`app-${i}`, shell(`app-${i}:main`, made))
    for (let n = 0; n < 20; n++) await dev.build(`app-${i}`)
  }))
  await dev.app('big', shell('big:main', `seq -f 'line %.0f ${'x'.repeat(88)}' ${lines}; ${made}`))
  const big = await dev.build('big')

  const { page } = await enter(browser, dev)
  /**
   * How long it takes until something is shown, several times: from the begin of the navigation, and from the
   * end of its load, when the browser has all files.
   */
  const load = async (path, shown) => {
    const all = [], afterLoad = []
    for (let i = 0; i < times; i++) {
      await page.goto('about:blank')
      await page.goto(dev.url + path, { waitUntil: 'commit' })
      const [took, loaded] = await page.evaluate(shown => new Promise(resolve => {
        const check = () => document.querySelector(shown)
          ? resolve([performance.now(), performance.getEntriesByType('navigation')[0].loadEventEnd])
          : requestAnimationFrame(check)
        check()
      }), shown)
      all.push(took)
      afterLoad.push(loaded ? Math.max(0, took - loaded) : 0)
    }
    return { all, afterLoad }
  }
  /** How long it takes from the answer to a trigger until the build is in the table of a page that is open. */
  const changes = async () => {
    const all = []
    await page.goto(dev.url + '/builds')
    await page.locator('table.builds tbody tr:nth-child(50)').waitFor()
    for (let i = 0; i < 3 * times; i++) {
      const id = await dev.trigger(`app-${i % (builds / 20)}`), from = Date.now()
      all.push(await page.evaluate(([id, from]) => new Promise((resolve, reject) => {
        const check = () => document.querySelector(`table.builds a[href$="${id}"]`) ? resolve(Date.now() - from)
          : Date.now() - from > 30_000 ? reject(new Error('it does not come')) : requestAnimationFrame(check)
        check()
      }), [id, from]))
      await dev.ended(id)
    }
    return { all, afterLoad: all }
  }
  console.log(JSON.stringify({
    changes: await changes(),
    overview: await load('/', 'table.builds tbody tr'),
    builds: await load('/builds', 'table.builds tbody tr:nth-child(50)'),
    devices: await load('/apps/fleet/devices', 'tbody tr:nth-child(100)'),
    log: await load(`/builds/${big.id}`, `[id="build-firmware:L${lines}"]`),
  }))
} finally {
  await browser.close()
  await dev.stop()
}
