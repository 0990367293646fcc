// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

// LogOptions say what is read of the output of steps.
type LogOptions struct {
	// Step is the name of the only step whose output is read; all of them if empty.
	Step string
	// Tail is how many lines are read of the end of each step; all if 0.
	Tail int
	// Timestamps has each line begin with its time (RFC 3339, with nanoseconds) and a blank.
	Timestamps bool
	// Follow has reading go on until the build ends.
	Follow bool
}
