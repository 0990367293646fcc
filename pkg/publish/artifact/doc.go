// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package artifact opens the files that a builder left.
//
// The folder that they are read from is hostile: a builder may have left symbolic
// links, FIFOs or devices in it. Nothing outside of it is ever opened, and no program
// is run.
package artifact
