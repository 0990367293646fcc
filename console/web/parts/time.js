// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Times are relative; the exact one shows when the pointer rests on it.

import { html, nothing } from '../vendor/lit-html.js'
import { ago, exact } from '../format.js'

/** @param {string|undefined} at */
export const time = at => at ? html`<time datetime=${at} title=${exact(at)}>${ago(at)}</time>` : nothing
