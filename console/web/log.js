// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// The log of a build: a section for each step, which can be folded, searched and pointed at.

import { html, nothing } from './vendor/lit-html.js'
import { Problem, call } from './api.js'
import { save } from './actions.js'
import { Cut, sleep, texts } from './events.js'
import { duration, short, count } from './format.js'
import { Lines, finder } from './lines.js'
import { chosen, choose } from './state.js'
import { icon } from './parts/icon.js'
import { copyText } from './parts/copy.js'
import { appearance, nth } from './parts/status.js'
import { failed } from './parts/toast.js'

/** @typedef {import('../types').Build} Build */
/** @typedef {import('./lines.js').Line} Line */

/** How many lines a block has. The browser lays out those alone that are seen. */
const blockSize = 200
/** How many lines of a step are in the page. */
const window_ = 20_000
/** How long a step may print nothing until it is asked once more, in milliseconds: the network may be dead. */
const quiet = 600_000
/** How far from its end the page counts as being there, in pixels. */
const nearEnd = 60

/** A step of the log. */
class Step {
  lines = new Lines()
  /** The lines that are in the page: from one on, and up to a later one if somebody reads earlier ones. */
  from = 0
  /** @type {number | undefined} */
  to
  /** The number of lines that were looked at for the page. */
  drawn = 0
  open = false
  touched = false
  /** @type {'no' | 'yes' | 'done'} */
  reading = 'no'
  gone = false
  /** @type {unknown} */
  error
  /** @type {import('../types').Step} */
  state

  /** @param {import('../types').Step} state */
  constructor(state) {
    this.state = state
    this.root = document.createElement('div')
    this.root.className = 'lines'
  }

  get ended() {
    return !['Waiting', 'Running'].includes(this.state.state)
  }
}

/** @typedef {{step: Step, at: number}} Hit a line that has what is searched for */

export class Log {
  /** @type {Map<string, Step>} */
  #steps = new Map()
  /** @type {Build} */
  #build
  #at
  #framed = false
  /** @type {Hit[]} */
  #hits = []
  #hit = -1
  #what = ''
  #wrong = ''
  #how = { regex: false, exact: false }
  /** @type {import('./lines.js').Finder | undefined} */
  #find
  #follow = true
  /** The lines that the URL points at. @type {{step: string, from: number, to: number} | undefined} */
  #target
  /** The last line of the failed step that the message quotes. @type {Hit | undefined} */
  quoted
  times = chosen('times', false)
  wrap = chosen('wrap', true)

  /** @param {import('./page.js').At} at @param {Build} build */
  constructor(at, build) {
    this.#at = at
    this.#build = build
    const { signal } = at
    addEventListener('hashchange', () => this.#point(), { signal })
    addEventListener('scroll', () => this.#scrolled(), { signal, passive: true })
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.#readAll() }, { signal })
    this.sync(build)
    this.#point()
  }

  /** Takes over the state of the build. @param {Build} build */
  sync(build) {
    this.#build = build
    for (const state of build.steps || []) {
      let step = this.#steps.get(state.name)
      if (!step) this.#steps.set(state.name, step = new Step(state))
      step.state = state
      if (!step.touched && ['Running', 'Failed'].includes(state.state)) step.open = true
    }
    // Of a build that has succeeded, that of its builder is what people want to see.
    const builder = this.#steps.get('build-firmware')
    if (build.status === 'Succeeded' && builder && !builder.touched && ![...this.#steps.values()].some(s => s.open)) builder.open = true
    if (build.status === 'Failed' && !this.quoted) {
      for (const step of this.#steps.values()) step.lines.all.forEach((_, at) => this.#quote(step, at))
    }
    this.#readAll()
  }

  #readAll() {
    for (const step of this.#steps.values()) if (step.open) this.#read(step)
  }

  /** Reads what a step prints, from where it was cut off, until it ends. @param {Step} step */
  async #read(step) {
    if (step.reading !== 'no' || step.state.state === 'Waiting' || step.state.state === 'Skipped') return
    step.reading = 'yes'
    const { signal } = this.#at
    for (let delay = 1000; !signal.aborted; delay = Math.min(delay * 2, 30_000)) {
      const cut = new Cut(() => document.hidden && !step.ended)
      try {
        const before = step.lines.all.length
        const whole = await this.#receive(step, cut)
        if (step.lines.all.length > before) delay = 1000
        if (!whole) throw new Error('The log was cut off')
        step.reading = 'done'
        step.error = undefined
        break
      } catch (error) {
        if (signal.aborted) return
        if (cut.signal.aborted && document.hidden) { // until somebody sees it
          step.reading = 'no'
          return
        }
        if (cut.silent && cut.answered) { // it is asked once more, and goes on where it was
          delay = 500
          continue
        }
        if (error instanceof Problem && error.status === 410) {
          step.gone = true
          step.reading = 'done'
          break
        }
        step.error = error
        if (error instanceof Problem && ![0, 401, 404, 429, 503].includes(error.status)) {
          step.reading = 'no'
          break
        }
        this.#at.redraw()
        await sleep(delay, signal)
      } finally {
        cut.end()
      }
    }
    this.#frame()
    this.#at.redraw()
  }

  /**
   * Reads what there is. Returns whether it is all: a server that is about to end cuts a log off politely.
   * @param {Step} step
   * @param {Cut} cut
   */
  async #receive(step, cut) {
    let whole = false
    cut.alive(quiet)
    const offset = step.lines.offset
    const answer = await call(`/builds/${this.#build.id}/log`, {
      query: { step: step.state.name, follow: !step.ended, timestamps: true, offset: offset || undefined },
      headers: { Accept: 'application/x-ndjson' }, signal: AbortSignal.any([this.#at.signal, cut.signal]),
    })
    cut.answered = true
    if (step.lines.all.length) {
      step.lines.forget()
      this.#unhit(step)
      step.drawn = Math.min(step.drawn, step.lines.all.length)
    }
    step.error = undefined
    let rest = ''
    for await (const text of texts(answer)) {
      cut.alive(quiet)
      const records = (rest + text).split('\n')
      rest = records.pop() || ''
      for (const record of records) {
        if (this.#take(step, JSON.parse(record))) whole = true
      }
      this.#frame()
    }
    return whole
  }

  /** Forgets the hits in lines that are not there any more. @param {Step} step */
  #unhit(step) {
    for (let last = this.#hits.at(-1); last && last.step === step && last.at >= step.lines.all.length; last = this.#hits.at(-1)) this.#hits.pop()
    this.#hit = Math.min(this.#hit, this.#hits.length - 1)
  }

  /** Takes a record. Returns whether it is the last one of the step. @param {Step} step @param {any} record */
  #take(step, record) {
    if (record.gone) {
      step.gone = true
      return true
    } else if (record.end) {
      return !['Running', 'Waiting'].includes(record.state)
    } else {
      const { all } = step.lines, before = all.length
      step.lines.add(record, !step.ended)
      if (all.length === before) { // it was replaced
        step.drawn = Math.min(step.drawn, all.length - 1)
        if (this.#find && this.#hits.at(-1)?.step === step && this.#hits.at(-1)?.at === all.length - 1) this.#hits.pop()
      }
      if (this.#find) this.#search(step, all.length - 1)
      this.#quote(step, all.length - 1)
      return false
    }
  }

  /** Finds the line that the message of a failed build quotes. @param {Step} step @param {number} at */
  #quote(step, at) {
    const { message = '', status } = this.#build
    const text = step.lines.all[at].text.trim()
    if (status === 'Failed' && step.state.state === 'Failed' && text.length > 5 && message.includes(text)) this.quoted = { step, at }
  }

  /** Has what has come drawn, at most once a frame. */
  #frame() {
    if (this.#framed) return
    this.#framed = true
    requestAnimationFrame(() => {
      this.#framed = false
      if (this.#at.signal.aborted) return
      const end = this.#follow && this.#isLive() && atEnd()
      for (const step of this.#steps.values()) this.#append(step)
      if (this.#target) this.#show()
      else if (end) scrollTo(0, document.documentElement.scrollHeight)
      this.#at.redraw()
    })
  }

  #isLive() {
    return !this.#build.completed
  }

  #scrolled() {
    const follow = atEnd()
    if (follow !== this.#follow) {
      this.#follow = follow
      this.#at.redraw()
    }
  }

  /** Draws the lines of a step that have come. @param {Step} step */
  #append(step) {
    const { all } = step.lines
    if (!step.open) return
    // Of a long log only the end is in the page, once it is known.
    if (step.reading === 'yes' && step.ended && step.to === undefined && all.length > window_) return
    if (step.to === undefined && all.length - step.from > window_ + window_ / 4) {
      const from = Math.ceil((all.length - window_) / blockSize) * blockSize
      for (let i = step.from; i < Math.min(from, step.drawn); i += blockSize) step.root.firstElementChild?.remove()
      step.from = from
      step.drawn = Math.max(step.drawn, from)
    }
    const to = Math.min(step.to ?? all.length, all.length)
    for (let i = Math.max(step.drawn, step.from); i < to; i++) {
      const index = i - step.from
      let block = step.root.children[Math.floor(index / blockSize)]
      if (!block) {
        block = document.createElement('div')
        block.className = 'block'
        step.root.lastElementChild?.classList.add('full')
        step.root.append(block)
      }
      const old = block.children[index % blockSize], line = this.#line(step, all[i])
      if (old) old.replaceWith(line)
      else block.append(line)
    }
    step.drawn = Math.max(step.drawn, to)
  }

  /** @param {Step} step @param {Line} line */
  #line(step, line) {
    const name = step.state.name
    const row = document.createElement('div')
    row.className = 'line'
    row.id = `${name}:L${line.n}`
    const number = document.createElement('a')
    number.className = 'n'
    number.href = `#${name}:L${line.n}`
    number.tabIndex = -1 // there may be thousands; the keyboard has the search
    number.textContent = String(line.n)
    row.append(number)
    if (line.t) {
      const time = document.createElement('time')
      time.dateTime = line.t
      time.textContent = line.t.slice(11, 23)
      row.append(time)
    }
    const text = document.createElement(line.heads ? 'button' : 'span')
    text.className = 'text'
    if (line.heads) {
      const group = line.heads
      row.classList.add('group')
      text.setAttribute('aria-expanded', String(group.open))
      text.addEventListener('click', () => this.#fold(step, line, !group.open))
    }
    if (line.group) row.hidden = !line.group.open
    if (/^(?:::|##\[)endgroup/.test(line.text)) row.hidden = true
    let at = 0
    for (const [start, end, classes] of line.runs || []) {
      text.append(line.text.slice(at, start))
      const run = document.createElement('span')
      run.className = classes
      run.textContent = line.text.slice(start, end)
      text.append(run)
      at = end
    }
    text.append(line.text.slice(at))
    if (line.cut) {
      const more = document.createElement('i')
      more.textContent = ' … the line is longer: see the raw log'
      text.append(more)
    }
    row.append(text)
    return row
  }

  /** Opens or closes a group. @param {Step} step @param {Line} head @param {boolean} open */
  #fold(step, head, open) {
    const group = head.heads
    if (!group) return
    group.open = open
    const row = document.getElementById(`${step.state.name}:L${head.n}`)
    row?.querySelector('button')?.setAttribute('aria-expanded', String(open))
    const { all } = step.lines
    for (let i = all.indexOf(head) + 1; i < all.length && all[i].group === group; i++) {
      const line = document.getElementById(`${step.state.name}:L${all[i].n}`)
      if (line && !/^(?:::|##\[)endgroup/.test(all[i].text)) line.hidden = !open
    }
  }

  /**
   * Draws other lines of a step.
   * @param {Step} step
   * @param {number} from
   * @param {number} [to] the end of the step if it is not there
   */
  #window(step, from, to) {
    step.from = Math.max(0, Math.floor(from / blockSize) * blockSize)
    step.to = to
    step.drawn = step.from
    step.root.replaceChildren()
    this.#append(step)
    this.#at.redraw()
  }

  /** Draws earlier lines, too. @param {Step} step */
  #earlier(step) {
    const first = step.lines.all[step.from]
    this.#window(step, step.from - window_, step.from + window_)
    requestAnimationFrame(() => document.getElementById(`${step.state.name}:L${first.n}`)?.scrollIntoView())
  }

  /** @param {Step} step @param {boolean} open */
  toggle(step, open) {
    step.open = open
    step.touched = true
    if (open) {
      this.#read(step)
      this.#append(step)
    }
    this.#at.redraw()
  }

  /** Reads where the URL points at, "#build-firmware:L120" or "#build-firmware:L120-L130", or a step alone. */
  #point() {
    for (const row of document.querySelectorAll('.line.marked')) row.classList.remove('marked')
    const hash = decode(location.hash.slice(1)), found = /^(.+):L(\d+)(?:-L(\d+))?$/.exec(hash)
    this.#target = undefined
    const step = this.#steps.get(found ? found[1] : hash)
    if (!step) return
    if (!step.open) this.toggle(step, true)
    if (!found) {
      requestAnimationFrame(() => document.getElementById(hash)?.scrollIntoView())
      return
    }
    const from = Number(found[2]), to = Number(found[3] || from)
    this.#target = { step: found[1], from: Math.min(from, to), to: Math.max(from, to) }
    this.#show()
  }

  /** Shows where the URL points at, as soon as it is there. */
  #show() {
    const target = this.#target, step = target && this.#steps.get(target.step)
    if (!target || !step) return
    const at = index(step.lines.all, target.from)
    if (step.ended && step.reading === 'yes') return // which lines are in the page is known at the end
    if (at < 0) {
      if (step.reading === 'done') this.#target = undefined
      return
    }
    this.#target = undefined
    this.#reveal({ step, at })
    for (let n = target.from; n <= Math.min(target.to, target.from + 1000); n++) {
      document.getElementById(`${target.step}:L${n}`)?.classList.add('marked')
    }
  }

  /** Has a line in the page, and the page there. @param {Hit} hit */
  #reveal({ step, at }) {
    const line = step.lines.all[at]
    if (!line) return
    step.open = true
    const { length } = step.lines.all
    if (at < Math.max(step.from, step.to === undefined ? length - window_ - window_ / 4 : 0) || at >= (step.to ?? Infinity)) this.#window(step, at - window_ / 2, at + window_ / 2)
    else this.#append(step)
    if (line.group && !line.group.open) {
      const head = step.lines.all.find(l => l.heads === line.group)
      if (head) this.#fold(step, head, true)
    }
    this.#follow = false
    this.#at.redraw()
    const go = () => document.getElementById(`${step.state.name}:L${line.n}`)?.scrollIntoView({ block: 'center' })
    go()
    requestAnimationFrame(() => requestAnimationFrame(go)) // blocks before it have got their size
  }

  /** Changes the URL to a range of lines, if the shift key is pressed. @param {MouseEvent} event */
  #number(event) {
    const link = event.target instanceof Element ? event.target.closest('a.n') : null
    if (!link || !event.shiftKey) return
    event.preventDefault()
    const [step, n] = decode(link.getAttribute('href')?.slice(1) || '').split(':L'), now = /^(.+):L(\d+)/.exec(decode(location.hash.slice(1)))
    const from = now && now[1] === step ? Number(now[2]) : Number(n)
    location.hash = `${step}:L${Math.min(from, Number(n))}-L${Math.max(from, Number(n))}`
  }

  /** Searches all lines that there are. */
  #searchAll() {
    this.#hits = []
    this.#hit = -1
    this.#wrong = ''
    this.#find = undefined
    if (this.#what) {
      try {
        this.#find = finder(this.#what, this.#how)
      } catch {
        this.#wrong = 'This is no regular expression'
      }
      for (const step of this.#steps.values()) {
        if (step.reading === 'no') this.#read(step) // a step that was not looked at yet
        for (let i = 0; this.#find && i < step.lines.all.length; i++) this.#search(step, i)
      }
    }
    this.#highlight()
    this.#at.redraw()
  }

  /** @param {Step} step @param {number} at */
  #search(step, at) {
    if (this.#find && this.#find(step.lines.all[at].text).length) this.#hits.push({ step, at })
  }

  /** Goes to a different hit. @param {number} by */
  #next(by) {
    if (!this.#hits.length) return
    this.#hit = (this.#hit + by + this.#hits.length) % this.#hits.length
    this.#reveal(this.#hits[this.#hit])
    this.#highlight()
    this.#at.redraw()
  }

  /** Marks what was found, near the hit that is shown. */
  #highlight() {
    for (const row of document.querySelectorAll('.line.hit')) row.classList.remove('hit')
    if (!('highlights' in CSS)) return
    CSS.highlights.clear()
    const hit = this.#hits[this.#hit]
    if (!hit || !this.#find) return
    const around = this.#hits.slice(Math.max(0, this.#hit - 200), this.#hit + 200)
    const found = new Highlight(), now = new Highlight()
    for (const other of around) {
      const line = other.step.lines.all[other.at]
      if (!line) continue
      const row = document.getElementById(`${other.step.state.name}:L${line.n}`), text = row?.querySelector('.text')
      if (!text) continue
      if (other === hit) row?.classList.add('hit')
      for (const [start, end] of this.#find(line.text)) {
        const range = rangeOf(text, start, end)
        if (range) (other === hit ? now : found).add(range)
      }
    }
    CSS.highlights.set('found', found)
    CSS.highlights.set('now', now)
  }

  /** Opens the text of the log by itself. */
  async #raw() {
    try {
      const answer = await call(`/builds/${this.#build.id}/log`)
      const url = URL.createObjectURL(new Blob([await answer.text()], { type: 'text/plain; charset=utf-8' }))
      const a = document.createElement('a')
      a.href = url
      a.target = '_blank'
      a.rel = 'noopener'
      a.click()
      setTimeout(() => URL.revokeObjectURL(url), 60_000)
    } catch (error) {
      failed(error)
    }
  }

  /** Copies the link of the line that was found, which the keyboard has no other way to. */
  #link() {
    const { step, at } = this.#hits[this.#hit]
    copyText(`${location.origin}/builds/${this.#build.id}#${step.state.name}:L${step.lines.all[at].n}`, 'the link')
  }

  #copy() {
    const text = [...this.#steps.values()].filter(s => s.open).map(s => s.lines.all.map(l => l.text + '\n').join('')).join('')
    copyText(text, 'what is open of the log')
  }

  draw() {
    const b = this.#build
    if (b.status === 'Queued') {
      return html`<p class="empty">The build waits for its turn${b.queue ? ` (${nth(b.queue)})` : ''}. Its log begins when it does.</p>`
    }
    if (!this.#steps.size) return html`<p class="empty">${b.completed ? 'The build ended before it printed anything.' : 'The build begins.'}</p>`
    return html`
      ${this.#toolbar()}
      <div class="log ${this.times ? '' : 'timeless'} ${this.wrap ? '' : 'long'}" role="log" aria-live="off" aria-label="Log"
        @click=${(/** @type {MouseEvent} */ e) => this.#number(e)}>
        ${[...this.#steps.values()].map(step => this.#section(step))}
      </div>
      ${this.#isLive() && !this.#follow ? html`<button class="newlines primary" @click=${() => {
        this.#follow = true
        scrollTo(0, document.documentElement.scrollHeight)
        this.#at.redraw()
      }}>${icon('down')} New lines</button>` : nothing}`
  }

  #toolbar() {
    /** @param {'regex' | 'exact'} name @param {string} sign @param {string} label */
    const how = (name, sign, label) => html`<button class="bare" aria-pressed=${this.#how[name]} title=${label} aria-label=${label}
      @click=${() => { this.#how[name] = !this.#how[name]; this.#searchAll() }}>${sign}</button>`
    /** @param {'times' | 'wrap'} name @param {string} label */
    const option = (name, label) => html`<label><input type="checkbox" .checked=${this[name]} @change=${(/** @type {Event} */ e) => {
      this[name] = /** @type {HTMLInputElement} */ (e.target).checked
      choose(name, this[name])
      this.#at.redraw()
    }}> ${label}</label>`
    return html`<div class="toolbar" role="toolbar" aria-label="Log">
      <label class="search">${icon('search')}<span class="unseen">Search the log</span>
        <input type="search" data-search placeholder="Search the log" autocomplete="off" spellcheck="false" .value=${this.#what}
          aria-invalid=${this.#wrong ? 'true' : nothing}
          @input=${(/** @type {Event} */ e) => { this.#what = /** @type {HTMLInputElement} */ (e.target).value; this.#searchAll() }}
          @keydown=${(/** @type {KeyboardEvent} */ e) => { if (e.key === 'Enter') { e.preventDefault(); this.#next(e.shiftKey ? -1 : 1) } }}></label>
      ${how('exact', 'Aa', 'Capital letters count')}${how('regex', '.*', 'Regular expression')}
      <span class="hits" role="status">${this.#wrong || (this.#what ? `${this.#hit + 1} of ${this.#hits.length.toLocaleString()}` : '')}</span>
      <button class="bare" aria-label="Hit before" title="Hit before" ?disabled=${!this.#hits.length} @click=${() => this.#next(-1)}>${icon('up')}</button>
      <button class="bare" aria-label="Next hit" title="Next hit" ?disabled=${!this.#hits.length} @click=${() => this.#next(1)}>${icon('down')}</button>
      <button class="bare" aria-label="Copy the link of the hit" title="Copy the link of the hit" ?disabled=${this.#hit < 0}
        @click=${() => this.#link()}>${icon('copy')}</button>
      <span class="gap"></span>
      ${option('times', 'Times')}${option('wrap', 'Wrap')}
      <button @click=${() => this.#raw()}>Raw</button>
      <button @click=${() => save(`/builds/${this.#build.id}/log`, { download: true }, `${this.#build.app}-${short(this.#build.id)}.log`)}>Download</button>
      <button @click=${() => this.#copy()}>Copy</button>
    </div>`
  }

  /** @param {Step} step */
  #section(step) {
    const { name, state, started, completed, exitCode } = step.state, [sign, kind] = appearance(state)
    const ms = started ? (completed ? Date.parse(completed) : Date.now()) - Date.parse(started) : NaN
    return html`<section id=${name} class="step">
      <h2><button aria-expanded=${step.open} @click=${() => this.toggle(step, !step.open)}>
        <span class="fold ${step.open ? 'open' : ''}">${icon('open')}</span><span class="state ${kind}">${icon(sign)}</span>
        <span class="name">${name}</span><span class="unseen">${state}</span>
        <span class="quiet">${duration(ms)}${exitCode ? ` · exit code ${exitCode}` : ''}</span></button></h2>
      ${step.open ? this.#content(step) : nothing}
    </section>`
  }

  /** @param {Step} step */
  #content(step) {
    const { state } = step.state, empty = !step.lines.all.length
    return html`
      ${step.from ? html`<button class="earlier" @click=${() => this.#earlier(step)}>Load earlier
        (${count(step.from, 'line')})</button>` : nothing}
      <div tabindex="0" role="region" aria-label="Output of ${step.state.name}">${step.root}</div>
      ${step.to !== undefined && step.to < step.lines.all.length ? html`<button class="earlier"
        @click=${() => this.#window(step, Math.max(0, step.lines.all.length - window_))}>Load the end
        (${count(step.lines.all.length - step.to, 'line')})</button>` : nothing}
      ${step.reading === 'yes' && step.ended && step.lines.all.length > window_ ? html`<p class="note">Reading:
        ${count(step.lines.all.length, 'line')} so far…</p>` : nothing}
      ${step.error ? html`<p class="note odd">${step.error instanceof Error ? step.error.message : nothing}${step.reading === 'yes' ? '. Trying again…' : ''}</p>` : nothing}
      ${step.gone ? html`<p class="note">What this step printed is gone with its pod.</p>`
        : empty && step.reading === 'done' ? html`<p class="note">This step printed nothing.</p>`
          : empty && state === 'Waiting' ? html`<p class="note">It has not begun.</p>`
            : empty && state === 'Skipped' ? html`<p class="note">It never began: the build ended before.</p>`
              : empty && !step.error ? html`<p class="note">Waiting for its first line…</p>` : nothing}`
  }

  /** The path of the line that the message quotes, and its number. */
  quotedAt() {
    if (!this.quoted) return undefined
    const { step, at } = this.quoted, line = step.lines.all[at]
    return line && { href: `/builds/${this.#build.id}#${step.state.name}:L${line.n}`, n: line.n }
  }
}

const atEnd = () => innerHeight + scrollY >= document.documentElement.scrollHeight - nearEnd

/** @param {string} s */
function decode(s) {
  try {
    return decodeURIComponent(s)
  } catch {
    return s
  }
}

/** Where a line is, by its number. @param {Line[]} all @param {number} n */
function index(all, n) {
  let low = 0, high = all.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (all[middle].n < n) low = middle + 1
    else high = middle
  }
  return all[low]?.n === n ? low : -1
}

/** The range of some characters in an element. @param {Element} root @param {number} start @param {number} end */
function rangeOf(root, start, end) {
  const range = document.createRange(), walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT)
  let at = 0, began = false
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const length = node.textContent?.length || 0
    if (!began && start < at + length) {
      range.setStart(node, start - at)
      began = true
    }
    if (began && end <= at + length) {
      range.setEnd(node, end - at)
      return range
    }
    at += length
  }
  return undefined
}

