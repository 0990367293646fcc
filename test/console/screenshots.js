// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Shows every page in both themes and widths, of builds that were made for it.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { enter, launch } from './lib/browser.js'
import { reported, shell, start } from './lib/dev.js'

const out = process.env.SCREENSHOTS
await mkdir(out, { recursive: true })

/** The script of a builder that compiles some files. */
const compile = (files, size = 41200) => [
  `i=0; for f in ${files.join(' ')}; do i=\`expr $i + 1\`; printf '[%d/%d] Compiling %s\\n' $i ${files.length} $f; sleep 0.15; done`,
  String.raw`printf '\033[1;33mwarning:\033[0m unused variable: \033[1mled\033[0m\n  \033[34m-->\033[0m src/main.rs:41:9\n'`,
  String.raw`echo '::group::Memory'; printf 'Region      Used    Size\nFLASH      41 kB  256 kB\nRAM         6 kB   16 kB\n'; echo '::endgroup::'`,
  `head -c ${size} /dev/zero > firmware.bin`,
].join('\n')

const sources = 'app.c board.c bus.c clock.c display.c gpio.c main.c modem.c ota.c power.c radio.c sensors.c storage.c timers.c uart.c usb.c'.split(' ')

const dev = await start()
try {
  const sizes = [41200, 40900, 42400, 46600, 46500, 48100, 48000]
  const ok = n => shell('greenhouse:main', compile(sources.slice(0, 4 + n * 2 % 9), sizes[n]))
  await dev.app('greenhouse', ok(0), { metadata: { labels: { zone: 'north', line: 'production' } } })
  await dev.app('pump-station', shell('pump-station:v1.4', compile(['pump.c', 'valve.c'])))
  await dev.app('weather-mast', shell('weather-mast:main', `echo 'cc -O2 -c src/main.c'; echo "src/main.c:10:5: error: 'foo' undeclared (first use in this function)" >&2; exit 1`), { metadata: { labels: { zone: 'south' } } })
  await dev.app('gateway')
  for (let n = 0; n < 7; n++) {
    await dev.describe('greenhouse', ok(n))
    await dev.build('greenhouse')
  }
  await dev.build('pump-station')
  const failed = await dev.build('weather-mast')
  const built = await dev.build('greenhouse')
  for (let i = 1; i <= 120; i++) {
    const status = i % 11 === 0 ? undefined : i % 7 === 0 ? reported('3f2a1bc', 'main', false) : i % 5 === 0
      ? reported('3f2a1bc', 'main', false, i % 100) : reported('main', 'main', true)
    await dev.device('greenhouse', `sensor-${String(i).padStart(3, '0')}`, { status, labels: i % 3 ? { kind: 'soil' } : { kind: 'air' } })
  }
  await dev.device('greenhouse', '../é #7', { firmware: shell('greenhouse:seven', compile(['seven.c'])) })
  await dev.build('greenhouse', '../é #7')
  await dev.describe('pump-station', shell('pump-station:v1.5', compile(Array(12).fill(sources).flat())))
  const pages = {
    overview: '/', 'build-running': '', builds: '/builds', 'builds-failed': '/builds?status=Failed', build: `/builds/${built.id}`, 'build-failed': `/builds/${failed.id}`,
    artifact: `/builds/${built.id}?tab=artifact`, description: `/builds/${built.id}?tab=description`,
    details: `/builds/${built.id}?tab=details`, apps: '/apps', app: '/apps/greenhouse', devices: '/apps/greenhouse/devices',
    device: '/apps/greenhouse/devices?device=sensor-005', 'device-own': `/apps/greenhouse/devices?device=${encodeURIComponent('../é #7')}`,
    edit: '/apps/greenhouse/edit', 'app-empty': '/apps/gateway', missing: '/nowhere',
  }
  const browser = await launch()
  for (const theme of ['light', 'dark']) {
    for (const width of [1280, 360]) {
      const { page, context, wrong } = await enter(browser, dev, { width, height: width === 360 ? 740 : 860, theme })
      const running = await dev.trigger('pump-station')
      await dev.until(running, b => b.progress > 10)
      for (const [name, path] of Object.entries({ ...pages, 'build-running': `/builds/${running}` })) {
        await page.goto(dev.url + path)
        await page.locator('main h1').waitFor()
        await page.locator('.loading').waitFor({ state: 'detached' }).catch(() => {})
        await page.waitForTimeout(name === 'build-running' ? 1200 : 250)
        await page.screenshot({ path: join(out, `${name}-${width}-${theme}.png`), fullPage: !name.startsWith('devices') })
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
        if (wide > 0) console.log(`${name} at ${width} is ${wide} pixels too wide`)
      }
      await page.evaluate(() => sessionStorage.clear())
      await page.evaluate(() => localStorage.clear())
      await page.goto(dev.url + '/login')
      await page.getByRole('button', { name: 'Log in' }).waitFor()
      await page.screenshot({ path: join(out, `login-${width}-${theme}.png`) })
      for (const text of wrong) console.log(`${width} ${theme}: ${text}`)
      await context.close()
    }
  }
  await browser.close()
} finally {
  await dev.stop()
}
