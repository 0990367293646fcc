// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line of Ajour: "ajour dev", which runs everything
// on one machine, and the commands that talk to a running installation.
//
// All that a command sees of the world is in [Env], so that tests run commands
// in process.
package cli
