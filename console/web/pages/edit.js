// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// The description of an object as text. It is checked while somebody types, and never written over what
// somebody else has written meanwhile.

import { html, nothing } from '../vendor/lit-html.js'
import { Problem, appPath, call } from '../api.js'
import { objectPath } from '../format.js'
import { go } from '../go.js'
import { Loaded } from '../page.js'
import { yaml } from '../yaml.js'
import { between } from '../parts/changes.js'
import { remarks } from '../parts/description.js'
import { icon } from '../parts/icon.js'
import { announce, toast } from '../parts/toast.js'

/** @typedef {import('../../types').Validation} Validation */

const pause = 400

const sample = `container:
  image: IMAGE:main
  build:
    image: registry.example.org/builders/zephyr:4.1
    source:
      git:
        uri: https://git.example.org/firmware.git
        rev: main
        project: .
    args:
      - make
    artifact:
      path: build/firmware.bin
`

/** @param {import('../page.js').At} at @returns {import('../page.js').Page} */
export function open(at) {
  const [app] = at.params, device = at.query.get('device') || undefined
  const back = objectPath(app, device), of = { application: app, device }
  const stored = `ajour.draft ${location.pathname}${location.search}`
  const [path, target] = device ? [appPath(app) + '/device', appPath(app) + '/device-firmware'] : [appPath(app), appPath(app) + '/firmware']
  let text = '', original = '', tag = '', saving = false, compared = false
  /** What somebody else has written meanwhile. @type {string | undefined} */
  let theirs
  /** @type {Validation | undefined} */
  let checked
  /** What is wrong with the text, and why it could not be saved. @type {unknown} */
  let wrong
  /** @type {unknown} */
  let unsaved
  /** Whether the text is one that somebody left without saving it. */
  let draft = false
  const read = async () => {
    const answer = await call(path, { query: { name: device }, signal: at.signal })
    const object = await answer.json()
    return { text: object.firmware === undefined ? '' : yaml(object.firmware), tag: answer.headers.get('ETag') || '' }
  }
  const object = new Loaded(at, async () => {
    const now = await read()
    original = now.text
    tag = now.tag
    text = sessionStorage.getItem(stored) ?? (original || sample.replace('IMAGE', app))
    draft = sessionStorage.getItem(stored) !== null
    check()
    return now
  })
  object.load()
  let turn = 0
  async function check() {
    const now = ++turn
    try {
      const answer = await call('/validate', {
        method: 'POST', body: text, query: of, headers: { 'Content-Type': 'application/yaml' }, signal: at.signal,
      })
      const result = await answer.json()
      if (now !== turn) return
      checked = result
      wrong = undefined
      if (result.violations.length) announce(`${result.violations.length} mistakes`)
    } catch (error) {
      if (now !== turn || at.signal.aborted) return
      checked = undefined
      wrong = error
    }
    at.redraw()
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  const typed = (/** @type {Event} */ e) => {
    text = /** @type {HTMLTextAreaElement} */ (e.target).value
    unsaved = undefined
    if (text === original) sessionStorage.removeItem(stored)
    else sessionStorage.setItem(stored, text)
    clearTimeout(timer)
    timer = setTimeout(check, pause)
    at.redraw()
  }

  /** Forgets what was not saved. */
  const discard = () => {
    sessionStorage.removeItem(stored)
    draft = false
  }

  async function save() {
    saving = true
    unsaved = undefined
    at.redraw()
    try {
      await call(target, {
        method: 'PUT', body: text, query: { name: device }, headers: { 'Content-Type': 'application/yaml', ...(tag ? { 'If-Match': tag } : {}) },
      })
      original = text
      discard()
      toast('The description is saved')
      go(back)
      return
    } catch (error) {
      if (error instanceof Problem && error.status === 412) {
        try {
          const now = await read()
          theirs = now.text
          tag = now.tag
        } catch (error) {
          unsaved = error
        }
      } else {
        unsaved = error
      }
    }
    saving = false
    at.redraw()
  }

  /** Whether nothing can be built by it. A section that says nothing of a build may be written. */
  const hopeless = () => Boolean(checked && !checked.valid && checked.violations.some(v => v.path !== 'spec.firmware'))

  const conflict = () => html`<section class="remedy" aria-label="Somebody else has changed it" role="alert">
    <h2>Somebody else has changed the description meanwhile</h2>
    <p>This is how yours differs from theirs. Take over of theirs what you want to have, then save.</p>
    ${between(theirs || '', text)}
    <div class="buttons"><button @click=${() => { text = original = theirs || ''; theirs = undefined; discard(); check() }}>Take theirs</button>
      <button @click=${() => { original = theirs || ''; theirs = undefined; at.redraw() }}>Keep mine to save it</button></div>
  </section>`

  return {
    title: () => `Edit ${device || app}${text === original ? '' : ' (not saved)'}`,
    draw: () => html`
      <p class="crumbs"><a href=${objectPath(app)}>${app}</a>${device ? html` / <a href=${back}>${device}</a>` : nothing}</p>
      <h1 tabindex="-1">Edit the description</h1>
      ${object.draw(() => html`
        ${theirs === undefined ? nothing : conflict()}
        ${draft ? html`<p class="note odd">${icon('warning')} <span>This is what you have written before, and not saved.
          <button @click=${() => { discard(); text = original || sample.replace('IMAGE', app); check(); at.redraw() }}>Discard it</button></span></p>` : nothing}
        <div class="editor">
          <label for="text">The section <code>spec.firmware</code>, as YAML</label>
          <textarea id="text" spellcheck="false" autocapitalize="off" rows=${Math.max(12, text.split('\n').length + 1)} .value=${text} @input=${typed} ?readonly=${saving}
            aria-invalid=${checked && !checked.valid || wrong ? 'true' : nothing} aria-describedby="remarks"></textarea>
          <div id="remarks">${unsaved instanceof Problem ? html`${remarks(unsaved.violations.length ? unsaved.violations
            : [{ path: 'Not saved:', detail: unsaved.message }])}` : nothing}
            ${wrong instanceof Problem ? html`${remarks(wrong.violations.length ? wrong.violations : [{ path: '', detail: wrong.message }])}` : nothing}
            ${checked ? remarks(checked.violations, checked.warnings) : nothing}
            ${checked?.valid ? html`<p class="state good">${icon('done')}<span>It can be built</span></p>` : nothing}</div>
          <div class="buttons">
            <button class="primary" ?disabled=${saving || text === original || wrong instanceof Problem && wrong.status >= 400 && wrong.status < 500 || theirs !== undefined || hopeless()}
              @click=${() => { if (compared) save(); else { compared = true; at.redraw() } }}>${saving ? 'Saving…' : compared ? 'Save' : 'Review the changes'}</button>
            <a class="button" href=${back} @click=${discard}>Cancel</a>
          </div>
          ${compared && theirs === undefined ? html`<h2>What you change</h2>${between(original, text)}
            <p class="quiet">A description that changes is built, unless its triggers say otherwise.</p>` : nothing}
        </div>`)}`,
  }
}
