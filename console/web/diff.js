// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// The lines that two texts do not share.

/** @typedef {{kind: ' '|'-'|'+', text: string}} Line */

/**
 * The changes from one text to the next, by the longest common subsequence of their lines. Both are short:
 * a description has 64 KiB at most.
 * @param {string} from
 * @param {string} to
 * @returns {Line[]}
 */
export function diff(from, to) {
  const a = lines(from), b = lines(to)
  let start = 0, endA = a.length, endB = b.length
  while (start < endA && start < endB && a[start] === b[start]) start++
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) { endA--; endB-- }
  const width = endB - start + 1
  const common = new Uint32Array((endA - start + 1) * width)
  for (let i = endA - start - 1; i >= 0; i--) {
    for (let j = width - 2; j >= 0; j--) {
      common[i * width + j] = a[start + i] === b[start + j]
        ? common[(i + 1) * width + j + 1] + 1
        : Math.max(common[(i + 1) * width + j], common[i * width + j + 1])
    }
  }
  /** @type {Line[]} */
  const out = a.slice(0, start).map(text => ({ kind: ' ', text }))
  let i = 0, j = 0
  while (start + i < endA || start + j < endB) {
    const more = start + i < endA, other = start + j < endB
    if (more && other && a[start + i] === b[start + j]) {
      out.push({ kind: ' ', text: a[start + i++] })
      j++
    } else if (more && (!other || common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      out.push({ kind: '-', text: a[start + i++] })
    } else {
      out.push({ kind: '+', text: b[start + j++] })
    }
  }
  for (const text of a.slice(endA)) out.push({ kind: ' ', text })
  return out
}

/** @param {string} text */
const lines = text => text.replace(/\n$/, '').split('\n')
