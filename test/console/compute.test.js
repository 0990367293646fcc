// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// The parts of the console that compute, without a browser.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as ansi from '../../console/web/ansi.js'
import { diff } from '../../console/web/diff.js'
import { ago, count, duration, size } from '../../console/web/format.js'
import { Lines, finder } from '../../console/web/lines.js'
import { yaml } from '../../console/web/yaml.js'

test('colours become runs of the text', () => {
  const style = ansi.plain()
  assert.deepEqual(ansi.parse('a \x1b[1;31merror\x1b[0m: b', style), { text: 'a error: b', runs: [[2, 7, 'bold c1']] })
  assert.deepEqual(style, ansi.plain())
})

test('a colour goes on in the next line', () => {
  const style = ansi.plain()
  assert.deepEqual(ansi.parse('\x1b[92mone', style), { text: 'one', runs: [[0, 3, 'c10']] })
  assert.deepEqual(ansi.parse('two\x1b[39m three', style), { text: 'two three', runs: [[0, 3, 'c10']] })
})

test('of 256 colours those with names are shown', () => {
  assert.deepEqual(ansi.parse('\x1b[38;5;4ma\x1b[38;5;200mb\x1b[38;2;1;2;3mc\x1b[48;5;1md', ansi.plain()).runs,
    [[0, 1, 'c4'], [1, 2, 'c4'], [2, 3, 'c4'], [3, 4, 'c4']])
})

test('whatever else controls a terminal is left out', () => {
  for (const [raw, text] of [
    ['\x1b]8;;http://evil.example\x07link\x1b]8;;\x07', 'link'], ['\x1b]0;title\x1b\\text', 'text'], ['\x1b[2J\x1b[1;1Hhome', 'home'],
    ['\x1b(Bset', 'set'], ['\x1bPq#0\x1b\\sixel', 'sixel'], ['a\x07\x08\x00b', 'ab'], ['\x1b[', ''], ['\x1b', ''], ['tab\there', 'tab\there'],
    ['user\u202egpj.exe', 'user[U+202E]gpj.exe'], ['\u2066a\u2069', '[U+2066]a[U+2069]'], ['é 温度 🌡', 'é 温度 🌡'],
  ]) assert.equal(ansi.parse(raw, ansi.plain()).text, text)
})

const add = (lines, list, open = false) => list.forEach(([n, o, line, cr]) => lines.add({ n, o, line, cr }, open))
const texts = lines => lines.all.map(l => l.text)

test('what comes after a carriage return takes its place', () => {
  const lines = new Lines()
  add(lines, [[1, 0, '10 %', true], [1, 5, '50 %', true], [1, 10, 'done'], [2, 15, 'next']])
  assert.deepEqual(texts(lines), ['done', 'next'])
})

test('a line that is sent a second time is there once', () => {
  const lines = new Lines()
  add(lines, [[1, 0, '\x1b[31mone'], [2, 9, 'two\x1b[0m']])
  assert.equal(lines.offset, 9)
  lines.forget()
  add(lines, [[2, 9, 'two\x1b[0m'], [3, 17, 'three']])
  assert.deepEqual(lines.all.map(l => [l.text, l.runs]), [['one', [[0, 3, 'c1']]], ['two', [[0, 3, 'c1']]], ['three', undefined]])
})

test('groups hold the lines up to their end', () => {
  const lines = new Lines()
  add(lines, [[1, 0, '::group::Memory'], [2, 1, 'a'], [3, 2, '::endgroup::'], [4, 3, 'b'], [5, 4, '##[group]Two'], [6, 5, 'c']])
  assert.deepEqual(lines.all.map(l => [l.text, Boolean(l.heads), Boolean(l.group)]), [
    ['Memory', true, false], ['a', false, true], ['::endgroup::', false, true], ['b', false, false], ['Two', true, false], ['c', false, true],
  ])
  assert.equal(lines.all[0].heads.size, 2)
  lines.forget()
  assert.equal(lines.all[4].heads.size, 0)
})

test('text and expressions are found', () => {
  assert.deepEqual(finder('a.c', { regex: false, exact: false })('abc A.C'), [[4, 7]])
  assert.deepEqual(finder('a.c', { regex: true, exact: true })('abc A.C'), [[0, 3]])
  assert.deepEqual(finder('x*', { regex: true, exact: false })('abc'), [])
  assert.throws(() => finder('(', { regex: true, exact: false }), SyntaxError)
})

test('the lines of two texts are compared', () => {
  const kinds = (a, b) => diff(a, b).map(l => l.kind + l.text)
  assert.deepEqual(kinds('a\nb\nc\n', 'a\nx\nc\nd\n'), [' a', '-b', '+x', ' c', '+d'])
  assert.deepEqual(kinds('a\n', 'a\n'), [' a'])
  assert.deepEqual(kinds('', 'a\n'), ['-', '+a'])
  assert.deepEqual(kinds('a\nb\nc', 'c'), ['-a', '-b', ' c'])
})

test('YAML is what a person would write', () => {
  assert.equal(yaml({
    container: {
      image: 'greenhouse:main', build: { args: ['-c', 'make all', 'a\nb\n', 'no'], timeout: '1h0m0s', env: [], more: {}, size: 1.5, on: true, none: null },
    },
  }), `container:
  image: greenhouse:main
  build:
    args:
      - "-c"
      - make all
      - |
        a
        b
      - "no"
    timeout: "1h0m0s"
    env: []
    more: {}
    size: 1.5
    "on": true
    none: null
`)
  for (const text of ['a: b', 'a #b', '- a', 'a:', ' a', 'a ', '', '~', '1', '0x1', 'null', '*a', '&a', '!a', '{a', '[a', '%a', '@a', '`a', 'é', 'a\tb']) {
    assert.equal(yaml({ k: text }), `k: ${JSON.stringify(text)}\n`)
  }
  for (const text of ['a\n\n', '\na', '  a\nb', 'a\x00\nb', 'a\r\nb']) assert.equal(yaml({ k: text }), `k: ${JSON.stringify(text)}\n`)
  assert.equal(yaml([{ name: 'a', value: 'b' }, ['c', ['d']]]), '- name: a\n  value: b\n- - c\n  - - d\n')
})

test('times and sizes are short', () => {
  assert.deepEqual([0, 999, 1000, 59_999, 72_000, 3600_000, 3720_000, 90_000_000, NaN].map(duration),
    ['<1s', '<1s', '1s', '59s', '1m 12s', '1h', '1h 2m', '1d 1h', ''])
  const now = Date.parse('2026-11-28T12:00:00Z')
  assert.deepEqual(['2026-11-28T11:59:55Z', '2026-11-28T11:59:12Z', '2026-11-28T11:00:00Z', '2026-11-26T13:00:00Z', '2026-11-20T12:00:00Z', undefined]
    .map(at => ago(at, now)), ['just now', '48s ago', '1h ago', '47h ago', '8d ago', ''])
  assert.deepEqual([undefined, 0, 999, 48_128, 2_300_000, 4e9].map(size), ['', '0 B', '999 B', '48 kB', '2.3 MB', '4.0 GB'])
  assert.deepEqual([count(1, 'build'), count(2, 'build'), count(0, 'build')], ['1 build', '2 builds', '0 builds'])
})
