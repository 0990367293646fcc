// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package build holds the nouns of a firmware build: the [Description] that a
// user writes on a Drogue object, the [Request] that a trigger makes of it, the
// [Run] that carries it out, and the [Condition] entries that report it.
//
// Everything here is a value or a pure function. The package does no I/O, reads
// no clock, and imports the standard library only, so that every other package
// may depend on it.
package build
