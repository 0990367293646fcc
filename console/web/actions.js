// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// What a person may have done. Each answers whether it was.

import { html } from './vendor/lit-html.js'
import { Problem, call, get } from './api.js'
import { objectName, short } from './format.js'
import { confirm } from './parts/dialog.js'
import { failed, toast } from './parts/toast.js'

/** @typedef {import('../types').Build} Build */
/** @typedef {{app: string, device?: string}} Target */

/** @param {{id: string}} b */
const link = b => html`<a href="/builds/${b.id}">${short(b.id)}</a>`

/**
 * @param {() => Promise<unknown>} act
 * @returns {Promise<boolean>}
 */
async function attempt(act) {
  try {
    return await act() !== false
  } catch (error) {
    failed(error)
    return false
  }
}

/** How often it is looked for a build that was asked for, and how long to wait between. */
const tries = 20, pause = 250

/** Waits until a build that was asked for has a run, which takes a moment. @param {string} id */
async function appears(id) {
  for (let i = 0; i < tries; i++) {
    if ((await get('/builds', { q: id, limit: 1 })).length) return
    await new Promise(resolve => setTimeout(resolve, pause))
  }
}

/**
 * @param {Target} t
 * @param {string} [rev]
 * @returns {Promise<string>} the id of the build, empty if there is none
 */
export async function trigger(t, rev) {
  let id = ''
  await attempt(async () => {
    const body = JSON.stringify({ application: t.app, device: t.device || undefined, rev: rev || undefined })
    const answer = await call('/builds', {
      method: 'POST', body, headers: { 'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID() },
    })
    const build = await answer.json()
    id = build.id
    await appears(id)
    toast(html`${objectName(t)} is built: ${link(build)}`)
  })
  return id
}

/** @param {Build} b */
export const cancel = b => attempt(async () => {
  const sure = await confirm(`Cancel build ${short(b.id)}?`, `What ${objectName(b)} has built so far is lost.`, 'Cancel the build')
  if (!sure) return false
  try {
    await call(`/builds/${b.id}`, { method: 'DELETE' })
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 409) throw error
    toast('The build has ended meanwhile')
    return
  }
  toast(`Build ${short(b.id)} is cancelled`)
})

/** @param {Build} b */
export const rerun = b => repeat(b, 'rerun', 'is built once more, from the same commit')

/** @param {Build} b */
export const publish = b => repeat(b, 'publish', 'is published once more')

/** @param {Build} b @param {string} how @param {string} done */
async function repeat(b, how, done) {
  let id = ''
  await attempt(async () => {
    const answer = await call(`/builds/${b.id}/${how}`, { method: 'POST', headers: { 'Idempotency-Key': crypto.randomUUID() } })
    const build = await answer.json()
    id = build.id
    await appears(id)
    toast(html`${objectName(b)} ${done}: ${link(build)}`)
  })
  return id
}

/**
 * Saves an answer of the API as a file, under the name that it says.
 * @param {string} path
 * @param {import('./api.js').Query} query
 * @param {string} name
 */
export const save = (path, query, name) => attempt(async () => {
  const answer = await call(path, { query })
  const said = /filename="?([^";]+)"?/.exec(answer.headers.get('Content-Disposition') || '')
  const url = URL.createObjectURL(await answer.blob())
  const a = document.createElement('a')
  a.href = url
  a.download = said ? said[1] : name
  a.click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
})

/** The command that asks for the same. @param {Build} b */
export const command = b => `ajour get build ${b.id}`

