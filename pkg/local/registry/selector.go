// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The grammar of label selectors (contract 1.9, X8). A key may have a prefix
// that starts with a letter and holds letters, digits and dots only.
var (
	keyPattern   = `(?:[A-Za-z][A-Za-z0-9.]*/)?[A-Za-z0-9][A-Za-z0-9_.-]*`
	valuePattern = `[A-Za-z0-9][A-Za-z0-9_.-]*`
	termPatterns = []struct {
		pattern *regexp.Regexp
		match   func(value string, present bool, args []string) bool
	}{
		{
			regexp.MustCompile(
				`^\s*(` + keyPattern + `)\s+in\s*\(\s*((?:` + valuePattern + `\s*(?:,\s*` + valuePattern + `\s*)*)?)\)\s*`,
			),
			func(v string, ok bool, args []string) bool { return ok && slices.Contains(args, v) },
		},
		{
			regexp.MustCompile(
				`^\s*(` + keyPattern + `)\s+notin\s*\(\s*((?:` + valuePattern + `\s*(?:,\s*` + valuePattern + `\s*)*)?)\)\s*`,
			),
			func(v string, ok bool, args []string) bool { return ok && !slices.Contains(args, v) },
		},
		{
			regexp.MustCompile(`^\s*(` + keyPattern + `)\s*!=\s*(` + valuePattern + `)\s*`),
			func(v string, ok bool, args []string) bool { return ok && !slices.Contains(args, v) },
		},
		{
			regexp.MustCompile(`^\s*(` + keyPattern + `)\s*=\s*(` + valuePattern + `)\s*`),
			func(v string, ok bool, args []string) bool { return ok && slices.Contains(args, v) },
		},
		{
			regexp.MustCompile(`^\s*!\s*(` + keyPattern + `)\s*`),
			func(_ string, ok bool, _ []string) bool { return !ok },
		},
		{
			regexp.MustCompile(`^\s*(` + keyPattern + `)\s*`),
			func(_ string, ok bool, _ []string) bool { return ok },
		},
	}
)

type selector []func(labels map[string]string) bool

// parseSelector reads a selector; what it cannot read is named in the answer.
func parseSelector(s string) (selector, error) {
	var sel selector
	for rest := s; rest != ""; {
		term, n := parseTerm(rest)
		if n == 0 {
			return nil, selectorError(rest)
		}
		sel, rest = append(sel, term), rest[n:]
		if rest == "" {
			break
		}
		if rest[0] != ',' || len(rest) == 1 {
			return nil, selectorError(rest)
		}
		rest = rest[1:]
	}
	return sel, nil
}

func parseTerm(s string) (func(map[string]string) bool, int) {
	for _, t := range termPatterns {
		m := t.pattern.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		var args []string
		if len(m) > 2 {
			for a := range strings.SplitSeq(m[2], ",") {
				args = append(args, strings.TrimSpace(a))
			}
		}
		return func(labels map[string]string) bool {
			value, present := labels[m[1]]
			return t.match(value, present, args)
		}, len(m[0])
	}
	return nil, 0
}

func selectorError(rest string) error {
	return &answer{400, "InvalidRequest", fmt.Sprintf("ParserError: Unparsable remaining content: '%s'", rest)}
}

func (s selector) matches(labels map[string]string) bool {
	for _, term := range s {
		if !term(labels) {
			return false
		}
	}
	return true
}
