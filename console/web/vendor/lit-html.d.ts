// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// What is used of lit-html.

export interface TemplateResult { strings: TemplateStringsArray, values: unknown[] }
export function html(strings: TemplateStringsArray, ...values: unknown[]): TemplateResult
export function svg(strings: TemplateStringsArray, ...values: unknown[]): TemplateResult
export const nothing: unique symbol
export function render(value: unknown, root: HTMLElement): void
