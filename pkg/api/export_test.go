// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Operations returns the parameters of each operation that needs a token, sorted.
func Operations() map[string][]string {
	all := map[string][]string{}
	for _, r := range routes {
		path := strings.ReplaceAll(r.path, "...}", "}")
		all[r.method+" "+path] = slices.Sorted(slices.Values(append([]string{}, r.params...)))
		if all[r.method+" "+path] == nil {
			all[r.method+" "+path] = []string{}
		}
	}
	return all
}

// Taken returns what a subscriber takes that was away while builds changed, and what it takes then.
func Taken(changed []build.Run) (first, second string) {
	var h hub
	s := h.subscribe()
	defer s.close()
	for _, r := range changed {
		h.changed(r, false)
	}
	take := func() string {
		changes, behind := s.take()
		return fmt.Sprint(len(changes), behind)
	}
	return take(), take()
}

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
