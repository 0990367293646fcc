// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"cmp"
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
	// progress is what a tool says of its work, or of others' code.
	progress rank = iota
	// hollow is what a tool says because a different one has failed.
	hollow
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
	{progress, regexp.MustCompile(
		`^(\[\s*\d+(/\d+|%)\]|-- |\++ |\d*\s*\||at \S+\(|[A-Z]{2,9} {2,}\S+$|` +
			`g?make(\[\d+\])?: (Entering|Leaving|Nothing|['\x60]))`,
	)},
	{hollow, regexp.MustCompile(
		`(?i)^(collect2: error: |\S+: (\*\*\* )?\[.*\] Error \d+|g?make(\[\d+\])?: (\*\*\* Waiting|Target )|` +
			`tar: (Child returned|Exiting with failure|Error is not recoverable)|` +
			`error: failed to run custom build|error: test failed, to rerun|\[ERROR\] COMPILATION ERROR|` +
			`ERROR: (update failed for project|pip's dependency resolver)|npm error (code|syscall|path|errno|A complete log)|` +
			`fatal: (not a git repository|No names found|No tags can describe)|` +
			`ninja: build stopped|ninja: error: rebuilding|FAILED: |` +
			`error: could not compile |error: aborting due to|error: build failed|For more information about this error|` +
			`error: linking with |exit status |FATAL ERROR: command exited|ninja failed with exit code|\*\*\* \[|` +
			`Traceback \(most recent|During handling of the above|the above exception was|-- Configuring incomplete|` +
			`subprocess\.CalledProcessError|npm ERR!|\d+ errors? generated|\d+ errors?$|BUILD FAILED|compilation terminated|` +
			`clang(\+\+)?: error: linker command failed|cc1\w*: (all|some) warnings being treated|warning: build failed|` +
			`See also "|.*\b0 (tests )?failed\b|\S+: Assembler messages:|.*: In function .*:$|={3,}|-{3,}|\^|~)`,
	)},
	{located, regexp.MustCompile(`(?i)^\S*?[\w)]:\d+(:\d+)?: (fatal )?error\b`)},
	{located, regexp.MustCompile(`^thread '.*panicked at `)},
	{named, regexp.MustCompile(`^error: [a-z]+(-[a-z]+)+$`)},
	{located, regexp.MustCompile(`^error(\[E\d+\])?: `)},
	{located, regexp.MustCompile(`^CMake Error at |^CMake Error: |^devicetree error: `)},
	{located, regexp.MustCompile(
		"overflowed by \\d+ bytes|undefined (reference|symbol)|multiple definition of|" +
			"duplicate symbol|cannot find -l|cannot open linker script|unable to find library",
	)},
	{located, regexp.MustCompile(`^(\w+\.)*[A-Z]\w*(Error|Exception)\b: `)},
	{hollow, regexp.MustCompile(`(?i)warning: |\bnote: |^warning\b`)},
	{named, regexp.MustCompile(`^\S+\.\w+:\d+(:\d+)?: \S|^\S+: \*\*\* |^\S*\bld(\.\w+)?: |^E: |^npm error `)},
	{named, regexp.MustCompile(`(?i)(^|: |\[|\d )(fatal )?error(\]|:|\[\w+\]| \w*\d+:)`)},
	{
		hint,
		regexp.MustCompile(
			`(?i)^panic: |not found$|no such file|permission denied|no space left|` +
				`(cannot|could not) (find|stat|allocate|open)|\bkilled\b|` +
				`unbound variable|syntax error|read-only file system|connection refused|could not resolve|^Diff in |` +
				`segmentation fault|out of memory|fatal: |failed`,
		),
	},
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
	best, at := progress-1, -1
	trace := traceback{indent: -1, raised: -1}
	for i, line := range lines {
		r := trace.rank(i, line)
		if at >= 0 && at == trace.raised && chained.MatchString(strings.TrimSpace(line)) {
			best = hollow // what the program made of it comes
		}
		if r > best || r == best && (r == last || r == progress) {
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

// traceback is where in the output of Python a line is.
type traceback struct {
	// indent is that of the traceback that is being printed, -1 for none.
	indent int
	// raised is the line of the exception that was printed last, -1 for none.
	raised int
}

// rank is that of the next line. The first line after a traceback that is not indented further
// is the exception, whatever that is called.
func (t *traceback) rank(at int, line string) rank {
	text, indent := strings.TrimSpace(line), len(line)-len(strings.TrimLeft(line, " "))
	r := rankOf(text)
	switch {
	case strings.HasPrefix(text, "Traceback (most recent"):
		t.indent = indent
	case t.indent >= 0 && indent <= t.indent:
		t.indent = -1
		if r > hollow {
			t.raised = at
			return located
		}
	}
	return r
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
	chained       = regexp.MustCompile(`^(During handling of the above|The above exception was)`)
	cargoPlace    = regexp.MustCompile(`^\s*--> (\S+:\d+:\d+)`)
	pythonLibrary = regexp.MustCompile(`^<|/lib/python[\d.]+/`)
	pythonPlace   = regexp.MustCompile(`^\s*File "([^"]+)", line (\d+)`)
)

// place returns what other lines say of a line's place, or of its cause.
func place(lines []string, at int) string {
	switch line := lines[at]; {
	case strings.HasPrefix(line, "error") && at+1 < len(lines):
		if m := cargoPlace.FindStringSubmatch(lines[at+1]); m != nil {
			return " (" + m[1] + ")"
		}
		for i := len(lines) - 2; i > at; i-- {
			if lines[i] == "Caused by:" {
				return ": " + strings.TrimSpace(lines[i+1])
			}
		}
	case strings.HasPrefix(line, "CMake Error") && strings.HasSuffix(line, ":"):
		said := ""
		for _, l := range lines[at+1:] {
			if !strings.HasPrefix(l, "  ") || strings.HasSuffix(said, ".") {
				break
			}
			said += " " + strings.TrimSpace(l)
		}
		return said
	case strings.Contains(line, " panicked at ") && strings.HasSuffix(line, ":") && at+1 < len(lines):
		return " " + strings.TrimSpace(lines[at+1])
	default:
		found := ""
		for i := at - 1; i >= 0 && (found != "" || i >= at-4) && !strings.Contains(lines[i], "Traceback (most recent"); i-- {
			if m := pythonPlace.FindStringSubmatch(lines[i]); m != nil {
				if !pythonLibrary.MatchString(m[1]) {
					return " (" + m[1] + ":" + m[2] + ")"
				}
				found = cmp.Or(found, " ("+m[1]+":"+m[2]+")")
			}
		}
		return found
	}
	return ""
}
