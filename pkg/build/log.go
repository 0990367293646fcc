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

// Log is what is there of the output of a build that has ended.
type Log struct {
	// Bytes is how much it is, of all steps.
	Bytes int64 `json:"bytes"`
	// Gone reports that there is none: its pods were gone before it was archived, or no step ran.
	Gone bool `json:"gone"`
}

// LeftOut is a part of a step's output that is not stored: the place after which it was, in bytes, and
// how many bytes it had. A line of the output says so, too.
type LeftOut [2]int64

// Shortened is implemented by the output of a step of which a part may be left out.
type Shortened interface {
	// LeftOut returns that part of output that was read to its end; nil for none.
	LeftOut() *LeftOut
}
