// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Writes JSON values as YAML that a person would write. What is not plainly harmless is quoted as in JSON,
// which YAML reads, too (YAML 1.2, section 1.3).

// A colon may be in one, as in an image or a URL, and not at an end of a word.
const plain = /^[A-Za-z_./](?:[\w./@+:-]*[\w./@+-])?(?: [\w./@+-]+)*$/
const reserved = /^(?:y|n|yes|no|on|off|true|false|null|\.inf|\.nan|\.[\d_].*)$/i
const line = /^[^\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ufeff]*$/

/** @param {unknown} value */
export function yaml(value) {
  return write(value, '').replace(/^\n/, '') + '\n'
}

/** @param {unknown} v @param {string} indent @returns {string} */
function write(v, indent) {
  if (Array.isArray(v)) {
    if (!v.length) return '[]'
    return v.map(item => `\n${indent}- ${write(item, indent + '  ').trimStart()}`).join('')
  }
  if (v && typeof v === 'object') {
    const members = Object.entries(v).filter(([, member]) => member !== undefined)
    if (!members.length) return '{}'
    return members.map(([name, member]) => {
      const text = write(member, indent + '  ')
      return `\n${indent}${scalar(name)}:${text.startsWith('\n') ? text : ' ' + text}`
    }).join('')
  }
  return typeof v === 'string' ? block(v, indent) : JSON.stringify(v)
}

/** @param {string} s */
const scalar = s => plain.test(s) && !reserved.test(s) ? s : quoted(s)

/** As in JSON, but for what JSON takes as it is and YAML for a break. @param {string} s */
const quoted = s => JSON.stringify(s).replace(/[\x7f-\x9f\u2028\u2029\ufeff]/g, c => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'))

/** A text of several lines. @param {string} s @param {string} indent */
function block(s, indent) {
  const lines = s.split('\n')
  const ends = lines.at(-1) === ''
  if (ends) lines.pop()
  if (lines.length < 2 || /^\s|^$/.test(lines[0]) || lines.at(-1) === '' || !lines.every(l => line.test(l))) return scalar(s)
  return (ends ? '|' : '|-') + lines.map(l => l && `\n${indent}${l}` || '\n').join('')
}
