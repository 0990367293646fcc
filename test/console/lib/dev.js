// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// An "ajour dev" of a test, and what people have there.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const builds = '/api/builds/v1alpha1'
export const registry = '/api/registry/v1alpha1'

/** Starts one. It maps the builder image "shell:1" to sh. */
export async function start({ args = [] } = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'ajour-console-'))
  const dev = new Dev(dir, args)
  await dev.begin()
  return dev
}

class Dev {
  #process
  #exited
  printed = ''

  constructor(dir, args) {
    this.dir = dir
    this.args = args
  }

  /** Starts it, at the same address as before. */
  async begin() {
    this.port ??= await freePort()
    this.#process = spawn(process.env.AJOUR, [
      'dev', `--listen=127.0.0.1:${this.port}`, '--engine=none', '--builder=shell=sh', `--data=${join(this.dir, 'data')}`, ...this.args,
    ], { env: { ...process.env, XDG_CONFIG_HOME: this.dir } })
    this.#exited = once(this.#process, 'exit')
    this.#process.stderr.on('data', text => { this.printed += text })
    await Promise.race([
      once(this.#process.stdout, 'data'), this.#exited.then(() => { throw new Error(`ajour dev did not start: ${this.printed}`) }),
    ])
    this.#process.stdout.resume()
    const folder = join(this.dir, 'ajour')
    const [file] = (await readdir(folder)).filter(name => name.endsWith(`-${this.#process.pid}.json`) || name.startsWith('dev-'))
    Object.assign(this, JSON.parse(await readFile(join(folder, file), 'utf8')))
  }

  /** Ends it, as a crash does. */
  async kill() {
    this.#process.kill('SIGKILL')
    await this.#exited
    await rm(join(this.dir, 'ajour'), { recursive: true, force: true })
  }

  async stop() {
    this.#process.kill('SIGTERM')
    await this.#exited
    await rm(this.dir, { recursive: true, force: true })
  }

  /** Calls it with the token of the developer. */
  async call(path, { method = 'GET', body, headers = {} } = {}) {
    const answer = await fetch(this.url + path, {
      method, body: body === undefined ? undefined : JSON.stringify(body),
      headers: { Authorization: `Bearer ${this.token}`, 'Content-Type': 'application/json', ...headers },
    })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    const text = await answer.text()
    return text ? JSON.parse(text) : undefined
  }

  get = path => this.call(builds + path)

  /** Makes an application. */
  app = (name, firmware, more = {}) => this.call(`${registry}/apps`, {
    method: 'POST', body: { metadata: { name, ...more.metadata }, spec: firmware ? { firmware } : {} },
  })

  /** Makes a device. */
  device = (application, name, { firmware, status, labels } = {}) => this.call(`${registry}/apps/${application}/devices`, {
    method: 'POST', body: { metadata: { application, name, labels }, spec: firmware ? { firmware } : {}, status },
  })

  /** Describes an application in a different way. */
  describe = (name, firmware) => this.call(`${builds}/apps/${name}/firmware`, { method: 'PUT', body: firmware })

  /** Has something built, and returns the id of the build. */
  async trigger(application, device) {
    const { id } = await this.call(builds + '/builds', { method: 'POST', body: { application, device } })
    return id
  }

  /** Waits until a build is like that, and returns it. */
  async until(id, holds) {
    for (const end = Date.now() + 60_000; ;) {
      const b = await this.get(`/builds/${id}`).catch(error => ({ error }))
      if (!b.error && holds(b)) return b
      if (Date.now() > end) throw new Error(`build ${id} is still ${JSON.stringify(b.error?.message || b)}`)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }

  ended = id => this.until(id, b => b.completed)

  /** Has something built to the end. */
  build = async (application, device) => this.ended(await this.trigger(application, device))
}

/** A description of a build that runs a script. */
export const shell = (image, script, build = {}) => ({
  container: {
    image,
    build: {
      image: 'shell:1', source: { git: { uri: process.env.REPOSITORY, rev: 'main', project: '.' } }, args: ['-c', script],
      artifact: { path: 'firmware.bin' }, triggers: ['manual'], ...build,
    },
  },
})

/** What the update server has written of a device. */
export const reported = (current, target, inSync, progress) => ({
  firmware: {
    current, target, conditions: [
      { type: 'InSync', status: inSync ? 'True' : 'False', lastTransitionTime: new Date(Date.now() - 3600_000).toISOString() },
      ...progress === undefined ? [] : [{ type: 'UpdateProgress', status: 'Unknown', message: progress.toFixed(1), lastTransitionTime: new Date().toISOString() }],
    ],
  },
})

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
