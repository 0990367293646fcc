// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package drogue is a client of the Drogue device registry: it reads objects as
// they are, and changes sections of their status without touching anything else
// (contract REG-1 to REG-11).
//
// Objects are never decoded into structures of ours. The registry replaces an
// object as a whole, so every member that we do not know has to survive, to the
// last digit of its numbers.
package drogue
