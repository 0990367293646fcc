// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// private is the vocabulary that names and comments do without, because the field has a word
// of its own for each: a reader would have to learn them first.
const private = `told|kept|words|gate|places|another|culprit|telling|passing|again|look|sweep|site`

var (
	privateWord = regexp.MustCompile(`(?i)\b(` + private + `)\b`)
	privatePart = regexp.MustCompile(`(?i)^(` + private + `)$`)
	// part is one word of an identifier in camel case.
	part = regexp.MustCompile(`[A-Z]?[a-z]+|[A-Z]+`)
)

func TestNamesAndCommentsUseTheWordsOfTheField(t *testing.T) {
	t.Parallel()
	for _, root := range []string{"../cmd", "../pkg", "../config", "../console", "../tekton", "."} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || path == "language_test.go" {
				return err
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			for _, found := range vocabulary(fset, f) {
				t.Errorf("%s", found)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestCommentsOfScriptsUseTheWordsOfTheField does so for the console, whose sentences are for people.
func TestCommentsOfScriptsUseTheWordsOfTheField(t *testing.T) {
	t.Parallel()
	comment := regexp.MustCompile(`(?m)^\s*(?://|/?\*\*?) .*|/\*\* .*?\*/|\s// .*`)
	for _, root := range []string{"../console", "console"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Name() == "vendor" {
				return fs.SkipDir
			}
			if ext := filepath.Ext(path); err != nil || d.IsDir() || ext != ".js" && ext != ".css" {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, c := range comment.FindAllString(string(text), -1) {
				if privateWord.MatchString(c) {
					t.Errorf("%s: %s", path, strings.TrimSpace(c))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// vocabulary returns the private words of a file. Names of other packages are theirs.
func vocabulary(fset *token.FileSet, f *ast.File) (found []string) {
	add := func(pos token.Pos, word string) {
		p := fset.Position(pos)
		found = append(found, fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, word))
	}
	for _, group := range f.Comments {
		for _, c := range group.List {
			for _, word := range privateWord.FindAllString(c.Text, -1) {
				add(c.Pos(), word)
			}
		}
	}
	theirs := map[ast.Node]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		if _, ok := n.(*ast.SelectorExpr); ok {
			return false
		}
		if lit, ok := n.(*ast.CompositeLit); ok {
			if _, ok := lit.Type.(*ast.SelectorExpr); ok {
				for _, e := range lit.Elts {
					if field, ok := e.(*ast.KeyValueExpr); ok {
						theirs[field.Key] = true
					}
				}
			}
		}
		if id, ok := n.(*ast.Ident); ok && !theirs[n] {
			for _, word := range part.FindAllString(id.Name, -1) {
				if privatePart.MatchString(word) {
					add(id.Pos(), id.Name)
				}
			}
		}
		return true
	})
	return found
}

func TestPrivateWordsAreFound(t *testing.T) {
	t.Parallel()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "a.go", `package a

// again is a word. Looking, against and sites are others.
func sweepAll(keptBuilds int) { exec.LookPath("again"); _ = http.Cookie{SameSite: 1} }
`, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a.go:3: again", "a.go:4: sweepAll", "a.go:4: keptBuilds"}
	if diff := cmp.Diff(want, vocabulary(fset, f)); diff != "" {
		t.Error(diff)
	}
}
