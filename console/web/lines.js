// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// What a step has printed, line by line, as the API sends it.

import * as ansi from './ansi.js'

/**
 * @typedef {object} Line
 * @property {number} n its number in the step, from 1
 * @property {number} o how many bytes of the step are before it
 * @property {string} t when it was printed, if that is known
 * @property {string} text without what controls a terminal
 * @property {import('./ansi.js').Run[]} [runs] what of it looks different
 * @property {boolean} [cut] it is longer
 * @property {Group} [group] the group that it is in
 * @property {Group} [heads] the group that it begins
 */

/**
 * @typedef {object} Group lines between "::group::" and "::endgroup::", which Tekton and GitHub fold, too
 * @property {boolean} open
 * @property {number} size
 */

/** A record of the log: see docs/api.md. @typedef {{n: number, o: number, t?: string, line: string, cr?: boolean, cut?: boolean}} Piece */

const begins = /^(?:::group::|##\[group\])(.*)$/, ends = /^(?:::endgroup::|##\[endgroup\])/

export class Lines {
  /** @type {Line[]} */
  all = []
  #style = ansi.plain()
  /** The style before the last line, which may come a second time. */
  #before = ansi.plain()
  #replace = false
  /** @type {Group | undefined} */
  #group

  /** The offset to come back with, after a cut: that of the last line, which is sent a second time. */
  get offset() {
    return this.all.at(-1)?.o || 0
  }

  /** Forgets the last line, which is about to be sent once more. */
  forget() {
    this.#drop()
    this.#replace = false
  }

  #drop() {
    const last = this.all.pop()
    this.#style = { ...this.#before }
    if (last?.heads) this.#group = undefined
    else if (last?.group) last.group.size--
  }

  /**
   * Adds a piece. One that comes after a carriage return takes the place of the line before.
   * @param {Piece} piece
   * @param {boolean} open whether a group that begins is open
   */
  add(piece, open) {
    if (this.#replace) this.#drop()
    this.#replace = Boolean(piece.cr)
    this.#before = { ...this.#style }
    const { text, runs } = ansi.parse(piece.line, this.#style)
    /** @type {Line} */
    const line = { n: piece.n, o: piece.o, t: piece.t || '', text, runs, cut: piece.cut, group: this.#group }
    const title = begins.exec(text)
    if (title) {
      this.#group = { open, size: 0 }
      line.heads = this.#group
      line.group = undefined
      line.text = title[1] || 'Group'
      line.runs = undefined
    } else if (this.#group) {
      this.#group.size++
      if (ends.test(text)) this.#group = undefined
    }
    this.all.push(line)
  }
}

/** @typedef {(text: string) => [start: number, end: number][]} Finder where something is in a text */

/**
 * Returns what finds a text, or a regular expression. It throws a SyntaxError for one that is none.
 * @param {string} what
 * @param {{regex: boolean, exact: boolean}} how exact: capital letters count
 * @returns {Finder}
 */
export function finder(what, { regex, exact }) {
  const source = regex ? what : what.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const expression = new RegExp(source, exact ? 'gu' : 'giu')
  return text => {
    const found = []
    for (const match of text.matchAll(expression)) {
      if (match[0]) found.push(/** @type {[number, number]} */ ([match.index, match.index + match[0].length]))
    }
    return found
  }
}
