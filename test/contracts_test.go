// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"cmp"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// contracts is the folder of the rules that the code cites by id.
const contracts = "../docs/contracts"

// TestEveryCitedRuleIsWritten finds ids in comments, texts and names of tests that
// no page of docs/contracts explains.
func TestEveryCitedRuleIsWritten(t *testing.T) {
	t.Parallel()
	written := writtenRules(t)
	cited := 0
	for _, dir := range []string{"../cmd", "../pkg", "../test"} {
		for _, file := range goFiles(t, dir) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range citations(src) {
				cited++
				if !written[c.id] {
					t.Errorf("%s:%d: %s is on no page of docs/contracts", strings.TrimPrefix(file, "../"), c.line, c.id)
				}
			}
		}
	}
	if cited == 0 {
		t.Error("no rule is cited")
	}
}

// goFiles lists the Go files of a tree, without test data.
func goFiles(t *testing.T, root string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(path, ".go"):
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// written matches where a page explains a rule: "### 4.4 Title" or "- **COND-5**: text".
var written = regexp.MustCompile(`(?m)^(?:### (\d\.\d{1,2}) |- \*\*([^*]+)\*\*: )`)

// writtenRules returns the ids of all pages. Each is explained once.
func writtenRules(t *testing.T) map[string]bool {
	t.Helper()
	pages, err := filepath.Glob(contracts + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]bool{}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range written.FindAllStringSubmatch(string(text), -1) {
			id := cmp.Or(m[1], m[2])
			if rules[id] {
				t.Errorf("%s: %s is explained twice", page, id)
			}
			rules[id] = true
		}
	}
	return rules
}

// The spellings of ids. Only the first kind is recognized by itself; the others are
// too short for that.
const (
	dashed  = `(?:REG|COND|EVT|OCI|HBW|HB|AJ|AUTH|TEK|TOK)-\d+`
	short   = `[ANX]\d{1,2}`
	section = `\d\.\d{1,2}`
	attack  = `cases? \d{1,2}`
	anyID   = `(?:` + dashed + `|` + short + `|` + section + `|` + attack + `)`
	// list is one id or several, as in "4.4, COND-3 to COND-5".
	list = anyID + `(?:(?:,|,? to|,? and) ` + anyID + `)*`
)

var (
	dashedID = regexp.MustCompile(`\b` + dashed + `\b`)
	oneID    = regexp.MustCompile(`\b` + anyID + `\b`)
	// cited matches "contract LIST"; "(LIST)" and "(LIST, text"; "LIST: text" at the
	// beginning of a comment. The list is in one of the groups.
	cited = regexp.MustCompile(`\b[Cc]ontract (` + list + `)\b|\((` + list + `)[),;:]|^(` + list + `): `)
	// numbered matches a test that is named after sections, such as 1.2 and 1.3.
	numbered = regexp.MustCompile(`^TestContract(\d)(\d{1,2})(?:And(\d)(\d{1,2}))?(?:\D|$)`)
)

// citation is an id in a Go file.
type citation struct {
	line int
	id   string
}

// citations finds the ids that Go code cites, in the order of their lines. A range
// such as "COND-3 to COND-5" cites both ends.
func citations(src []byte) (found []citation) {
	fset := token.NewFileSet()
	file := fset.AddFile("", -1, len(src))
	var s scanner.Scanner
	s.Init(file, src, func(token.Position, string) {}, scanner.ScanComments)
	var c comment
	for {
		pos, tok, text := s.Scan()
		line := file.Line(pos)
		switch {
		case tok == token.COMMENT && c.continuedBy(line):
			c.lines = append(c.lines, text)
			continue
		case tok == token.SEMICOLON && text == "\n":
			continue // the end of a line that a comment follows
		}
		found = append(found, c.citations()...)
		c = comment{}
		switch tok {
		case token.COMMENT:
			c = comment{line, []string{text}}
		case token.STRING:
			for _, id := range dashedID.FindAllString(text, -1) {
				found = append(found, citation{line, id})
			}
		case token.IDENT:
			if m := numbered.FindStringSubmatch(text); m != nil {
				found = append(found, citation{line, m[1] + "." + m[2]})
				if m[3] != "" {
					found = append(found, citation{line, m[3] + "." + m[4]})
				}
			}
		case token.EOF:
			slices.SortStableFunc(found, func(a, b citation) int { return cmp.Compare(a.line, b.line) })
			return slices.Compact(found)
		}
	}
}

// comment is a group of comments on adjacent lines, which a sentence may extend over.
type comment struct {
	first int
	lines []string
}

func (c comment) continuedBy(line int) bool { return len(c.lines) > 0 && line == c.first+len(c.lines) }

func (c comment) citations() (found []citation) {
	var text string
	var starts []int // the offset of each line in text
	for _, line := range c.lines {
		for part := range strings.SplitSeq(line, "\n") {
			starts = append(starts, len(text))
			part = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(part, "//"), "/*"), "*/")
			text += strings.TrimSpace(part) + " "
		}
	}
	add := func(offset int, id string) {
		after, _ := slices.BinarySearch(starts, offset+1)
		found = append(found, citation{c.first + after - 1, strings.Replace(id, "cases ", "case ", 1)})
	}
	seen := map[int]bool{}
	for _, m := range cited.FindAllStringSubmatchIndex(text, -1) {
		from, to := max(m[2], m[4], m[6]), max(m[3], m[5], m[7])
		for _, at := range oneID.FindAllStringIndex(text[from:to], -1) {
			seen[from+at[0]] = true
			add(from+at[0], text[from+at[0]:from+at[1]])
		}
	}
	for _, at := range dashedID.FindAllStringIndex(text, -1) {
		if !seen[at[0]] {
			add(at[0], text[at[0]:at[1]])
		}
	}
	return found
}

func TestCitationsAreFound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code string
		want string
	}{
		{"// The limits of names (contract 1.4).", "1:1.4"},
		{"// Contract 6.1 says so.", "1:6.1"},
		{"x := 1 // installations (contract 5.1 to 5.3): both", "1:5.1 1:5.3"},
		{"// TestX: contract 4.4, COND-3 to COND-5.", "1:4.4 1:COND-3 1:COND-5"},
		{"// and an absent one always holds (1.5, N9).", "1:1.5 1:N9"},
		{"// status 403 (2.1). Who is known", "1:2.1"},
		{"// hides it (A6), and HB-2 too", "1:A6 1:HB-2"},
		{"f() // N11: it exists", "1:N11"},
		{"f() // REG-4, N7: no event", "1:REG-4 1:N7"},
		{"// numbers (case 6), (cases 18 and case 19)", "1:case 6 1:case 18 1:case 19"},
		{"// no roles (contract\n// 2.3), see contract\n// EVT-7", "2:2.3 3:EVT-7"},
		{"f() // (4.4,\n\t// COND-3)", "1:4.4 2:COND-3"},
		{"/* as HBW-71\nand (X4) say */", "1:HBW-71 2:X4"},
		{"\tname: \"HBW-26 a bare object\",", "1:HBW-26"},
		{"func TestContract12And111Shapes(t *testing.T) {", "1:1.2 1:1.11"},

		{"x := sha256.Sum(A9, N2, V1) // of SHA256", ""},
		{"t.Errorf(\"%d (1.5)\", N3)", ""},
		{"// after 1.5 s, (1.5 MiB) or 404 (since 1.12)", ""},
		{"// Tekton 1.15 (v1.15.0, 1.12.0) and HTTP/1.1", ""},
		{"// A4 paper, N2 gas, in the case 3 of them", ""},
		{"// no REGISTRY-1, XHB-1 or UTF-8 (RFC 7519), SHA-1", ""},
		{"// the contract of 2.4 GHz", ""},
		{"// SPDX-License-Identifier: Apache-2.0", ""},
	} {
		var got []string
		for _, c := range citations([]byte(tt.code)) {
			got = append(got, fmt.Sprintf("%d:%s", c.line, c.id))
		}
		if diff := gocmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.code, diff)
		}
	}
}
