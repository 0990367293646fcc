// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// The lines by which builders say how far they are. The list is strict: "RAM: 19.3%" and
// "Unpacking … 100%" say nothing of the build, and "[1/2] Re-running CMake" little.
var (
	// countedPercent is that of make as CMake has it: "[ 17%] Building C object".
	countedPercent = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\[ *([0-9]{1,3})%\] `) })
	// countedSteps is that of ninja, and so of west, idf.py and Meson: "[907/1424] Building".
	countedSteps = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\[([0-9]{1,6})/([0-9]{1,6})\] `) })
)

// leastSteps is how many steps a count has at least. A build may begin with counts of a few steps,
// before that of all of them.
const leastSteps = 10

// count is how far a builder is by its own count.
type count struct {
	// of is how many steps there are; 100 for a percentage.
	of   int
	part float64 // 0 to 1
}

// countIn returns the last count in some lines of output, which goes on from an earlier one: a count of
// fewer steps is that of a part of the build.
func countIn(output string, earlier count) count {
	last := earlier
	plain := strings.ReplaceAll(escapes.ReplaceAllString(output, ""), "\r", "\n")
	for line := range strings.SplitSeq(plain, "\n") {
		n, of := 0, 0
		if m := countedSteps().FindStringSubmatch(line); m != nil {
			n, of = number(m[1]), number(m[2])
		} else if m := countedPercent().FindStringSubmatch(line); m != nil {
			n, of = number(m[1]), 100
		}
		if of < leastSteps || n > of || of < last.of {
			continue
		}
		if part := float64(n) / float64(of); of > last.of || part > last.part {
			last = count{of, part}
		}
	}
	return last
}

func number(s string) int {
	n, _ := strconv.Atoi(s) // digits only
	return n
}
