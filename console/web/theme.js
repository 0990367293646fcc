// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Before anything is painted, so that nobody sees the other theme first.
document.documentElement.dataset.theme = localStorage.getItem('ajour.theme') || 'system'
