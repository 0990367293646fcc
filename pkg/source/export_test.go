// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package source

// Decode is for the fuzz test.
var Decode = decode
