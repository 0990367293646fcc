// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
)

// TestTheTableOfVariablesIsComplete compares docs/configuration.md with what the
// services read.
func TestTheTableOfVariablesIsComplete(t *testing.T) {
	t.Parallel()
	read := map[string]string{}
	for _, pattern := range []string{"../cmd/*/main.go", "../cmd/internal/service/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			maps.Copy(read, variables(t, file))
		}
	}
	if len(read) == 0 {
		t.Fatal("no variable is read")
	}
	table, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| [a-z, -]+ \\| (?:`([^`]*)` )?\\| (.*) \\|$")
	for _, m := range row.FindAllStringSubmatch(string(table), -1) {
		documented[m[1]] = fmt.Sprintf("default %q: %s", m[2], m[3])
	}
	if diff := cmp.Diff(read, documented); diff != "" {
		t.Errorf("docs/configuration.md differs from the programs (-programs +docs):\n%s", diff)
	}
}

// variables finds the fields of a file's structs that envconfig fills.
func variables(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		field, ok := n.(*ast.Field)
		if !ok || field.Tag == nil {
			return true
		}
		text, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			t.Fatal(err)
		}
		tag := reflect.StructTag(text)
		if name := tag.Get("envconfig"); name != "" {
			found[name] = fmt.Sprintf("default %q: %s", tag.Get("default"), tag.Get("desc"))
		}
		return true
	})
	return found
}

// TestTheDocumentSaysWhatEachReasonMeans, as the console does.
func TestTheDocumentSaysWhatEachReasonMeans(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	table.WriteString("| reason | what happened | what to do |\n| --- | --- | --- |\n")
	for _, name := range build.Reasons() {
		r := build.Reason(name)
		remedy := r.Remedy()
		if remedy == "" {
			remedy = "Nothing"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", r, r.Meaning(), remedy)
	}
	doc, err := os.ReadFile("../docs/build-description.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), table.String()) {
		t.Errorf("docs/build-description.md has not this table:\n%s", &table)
	}
}
