// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// What the installation says of itself to everybody.

/** @type {Promise<import('../types').Info> | undefined} */
let answer

/** @returns {Promise<import('../types').Info>} */
export function info() {
  answer ??= fetch('/.well-known/ajour').then(a => {
    if (!a.ok) throw new Error(`The server answers ${a.status}`)
    return a.json()
  })
  return answer.catch(error => {
    answer = undefined
    throw error
  })
}
