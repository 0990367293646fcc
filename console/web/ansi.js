// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// What a builder prints is shown as text. Of the sequences that control a terminal (ECMA-48) colours, bold
// and faint are shown, and all others left out.

const sequence = /\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~]?)/g
const control = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g
// These change the direction of what follows: a line could show something that it does not say.
const bidi = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/**
 * @typedef {object} Style how text looks, until something else is said
 * @property {boolean} bold
 * @property {boolean} dim
 * @property {number} colour 0 to 15, or -1
 */

/** @typedef {[start: number, end: number, classes: string]} Run a part of a text that looks different */

/** @returns {Style} */
export const plain = () => ({ bold: false, dim: false, colour: -1 })

/**
 * Takes a line apart into its text and the runs of it that have a style of their own. The style is that at the
 * beginning of the line, and then that at its end.
 * @param {string} raw
 * @param {Style} style
 * @returns {{text: string, runs: Run[] | undefined}}
 */
export function parse(raw, style) {
  if (!raw.includes('\x1b') && !classes(style)) return { text: clean(raw), runs: undefined }
  let text = '', at = 0
  /** @type {Run[]} */
  const runs = []
  /** @param {string} piece */
  const add = piece => {
    piece = clean(piece)
    const how = classes(style)
    if (piece && how) runs.push([text.length, text.length + piece.length, how])
    text += piece
  }
  for (const found of raw.matchAll(sequence)) {
    add(raw.slice(at, found.index))
    at = found.index + found[0].length
    if (found[2] === 'm') apply(style, found[1])
  }
  add(raw.slice(at))
  return { text, runs: runs.length ? runs : undefined }
}

/** @param {string} s */
const clean = s => s.replace(control, '').replace(bidi, c => `[U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}]`)

/** @param {Style} style */
function classes(style) {
  const list = []
  if (style.bold) list.push('bold')
  if (style.dim) list.push('dim')
  if (style.colour >= 0) list.push('c' + style.colour)
  return list.join(' ')
}

/** Select Graphic Rendition. @param {Style} style @param {string} params */
function apply(style, params) {
  const list = params.split(/[;:]/).map(Number)
  for (let i = 0; i < list.length; i++) {
    const p = list[i]
    if (p === 0) Object.assign(style, plain())
    else if (p === 1) style.bold = true
    else if (p === 2) style.dim = true
    else if (p === 22) style.bold = style.dim = false
    else if (p === 39) style.colour = -1
    else if (p >= 30 && p <= 37) style.colour = p - 30
    else if (p >= 90 && p <= 97) style.colour = p - 90 + 8
    else if (p === 38 || p === 48) { // of 256 colours the first 16 have names
      if (p === 38 && list[i + 1] === 5 && list[i + 2] < 16) style.colour = list[i + 2]
      i += list[i + 1] === 5 ? 2 : 4
    }
  }
}
