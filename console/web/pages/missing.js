// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

import { html } from '../vendor/lit-html.js'

/** @returns {import('../page.js').Page} */
export const open = () => ({
  title: () => 'Nothing here',
  draw: () => html`<h1 tabindex="-1">There is nothing here</h1>
    <p>Go to the <a href="/">overview</a>, or <a href="/builds">look for a build</a>.</p>`,
})
