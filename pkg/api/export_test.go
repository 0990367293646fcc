// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"io"
)

// Pieces takes output apart, and calls f for each piece with the place at which it begins.
func Pieces(output io.Reader, timed bool, f func(line int, offset int64, text string, lone, cut bool)) error {
	l := &lines{input: bufio.NewReader(output), timed: timed}
	for {
		at, p, err := l.next()
		if err != nil {
			return err
		}
		f(at.line, at.offset, string(p.bytes), p.lone, p.cut)
	}
}
