// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"regexp"
	"strings"

	"github.com/drogue-iot/ajour/pkg/build"
)

// maxExcerpt bounds an excerpt in bytes.
const maxExcerpt = 300

// escapes are the sequences that colour a terminal, and do other things to it (ECMA-48).
var escapes = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])`)

// rank is how much a line tells of a failure. Of lines that tell as much the first counts,
// since the others mostly follow from it.
type rank int

const (
	// hollow is what a tool says because a different one has failed.
	hollow rank = iota
	// last is the best that is known of a line that looks like any other.
	last
	// hint speaks of a failure.
	hint
	// named is an error by its own word.
	named
	// located is an error at a place in a file, or one that a linker has found.
	located
)

// kinds are the lines that are distinguished, in the order in which they are looked for: what
// gcc, clang, cargo, go, javac, cmake, ninja, make, west, ESP-IDF, PlatformIO, Python and the
// linkers of binutils and LLVM print.
var kinds = []struct {
	rank    rank
	pattern *regexp.Regexp
}{
	{hollow, regexp.MustCompile(
		`(?i)^(collect2: error: |make(\[\d+\])?: |g?make: \*\*\*|ninja: build stopped|ninja: error: rebuilding|FAILED: |` +
			`error: could not compile |error: aborting due to|error: build failed|For more information about this error|` +
			`error: linking with |exit status |FATAL ERROR: command exited|ninja failed with exit code|\*\*\* \[|` +
			`Traceback \(most recent|During handling of the above|the above exception was|-- Configuring incomplete|` +
			`subprocess\.CalledProcessError|npm ERR!|\d+ errors? generated|\d+ errors?$|BUILD FAILED|compilation terminated|` +
			`clang(\+\+)?: error: linker command failed|cc1\w*: (all|some) warnings being treated|warning: build failed|` +
			`See also "|\S+: Assembler messages:|.*: In function .*:$|={3,}|-{3,}|\^|~)`,
	)},
	{located, regexp.MustCompile(`(?i)^\S*?[\w)]:\d+(:\d+)?: (fatal )?error\b`)},
	{located, regexp.MustCompile(`^error(\[E\d+\])?: `)},
	{located, regexp.MustCompile(`^CMake Error at |^CMake Error: |^devicetree error: `)},
	{located, regexp.MustCompile(
		"region [`'‘\"]?\\S+ overflowed|will not fit in region|undefined (reference|symbol)|multiple definition of|" +
			"duplicate symbol|cannot find -l|cannot open linker script|unable to find library",
	)},
	{located, regexp.MustCompile(`^(\w+\.)*[A-Z]\w*(Error|Exception)\b: `)},
	{hollow, regexp.MustCompile(`(?i)\bwarning: |\bnote: |^warning\b`)},
	{located, regexp.MustCompile(`^\S+\.\w+:\d+(:\d+)?: `)},
	{named, regexp.MustCompile(`(?i)(^|[^\w])(fatal )?error\b\W`)},
	{hint, regexp.MustCompile(
		`(?i)^panic: |not found$|no such file or directory|permission denied|no space left|cannot find|killed$|` +
			`segmentation fault|out of memory|fatal: |failed`,
	)},
}

func rankOf(line string) rank {
	for _, k := range kinds {
		if k.pattern.MatchString(line) {
			return k.rank
		}
	}
	return last
}

// Excerpt finds the line of a builder's output that a person would quote. Where a tool names
// the place on a line of its own, that is added.
func Excerpt(log string) string {
	lines := plainLines(log)
	best, at := hollow-1, -1
	for i, line := range lines {
		r := rankOf(strings.TrimSpace(line))
		if r > best || r == last && best == last {
			best, at = r, i
		}
	}
	if at < 0 {
		return ""
	}
	excerpt := build.Clean(strings.TrimSpace(lines[at]) + place(lines, at))
	if len(excerpt) > maxExcerpt {
		excerpt = strings.ToValidUTF8(excerpt[:maxExcerpt], "") + "…"
	}
	return excerpt
}

// plainLines returns the lines of a log that are not empty, as a terminal shows them: without
// escape sequences, and each state of a progress bar by itself.
func plainLines(log string) (lines []string) {
	log = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(escapes.ReplaceAllString(log, ""))
	for line := range strings.Lines(log) {
		if strings.TrimSpace(line) != "" {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	return lines
}

var (
	cargoPlace  = regexp.MustCompile(`^\s*--> (\S+:\d+:\d+)`)
	pythonPlace = regexp.MustCompile(`^\s*File "([^"]+)", line (\d+)`)
)

// place returns what other lines say of a line's place, or of its cause.
func place(lines []string, at int) string {
	switch line := lines[at]; {
	case strings.HasPrefix(line, "error") && at+1 < len(lines):
		if m := cargoPlace.FindStringSubmatch(lines[at+1]); m != nil {
			return " (" + m[1] + ")"
		}
	case strings.HasPrefix(line, "CMake Error") && strings.HasSuffix(line, ":") && at+1 < len(lines):
		return " " + strings.TrimSpace(lines[at+1])
	default:
		for i := at - 1; i >= max(0, at-4); i-- {
			if m := pythonPlace.FindStringSubmatch(lines[i]); m != nil {
				return " (" + m[1] + ":" + m[2] + ")"
			}
		}
	}
	return ""
}
