// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// TestYAMLMeansTheSame: what the console shows of a description to be edited is, unchanged, the
// description. The values are made of what is special in YAML.
func TestYAMLMeansTheSame(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	parts := []string{
		"a",
		"B",
		"-",
		" ",
		"\n",
		":",
		": ",
		" #",
		"#",
		"'",
		`"`,
		`\`,
		"|",
		">",
		"&",
		"*",
		"!",
		"%",
		"@",
		"`",
		"{",
		"}",
		"[",
		"]",
		",",
		"?",
		"~",
		"null",
		"true",
		"no",
		"1",
		"0x1f",
		"1e3",
		"1:30",
		".inf",
		"é",
		"\t",
		"\r",
		"\u2028",
		"\u0085",
		"\ufeff",
		"\u0001",
		"<<",
		"=",
		"2026-11-28",
		"---", ".", "5", "_", "e3",
		"...",
	}
	text := func() string {
		var b strings.Builder
		for range random.IntN(5) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		return b.String()
	}
	var value func(depth int) any
	value = func(depth int) any {
		switch random.IntN(8 - depth) {
		case 0, 1, 2, 3, 4:
			return text()
		case 5:
			return []any{nil, true, 1.5, -3.0}[random.IntN(4)]
		case 6:
			list := []any{}
			for range random.IntN(4) {
				list = append(list, value(depth+1))
			}
			return list
		default:
			members := map[string]any{}
			for range random.IntN(4) {
				members[text()] = value(depth + 1)
			}
			return members
		}
	}
	values := make([]any, 2000)
	var input bytes.Buffer
	for i := range values {
		values[i] = map[string]any{"v": value(0)}
		if err := json.NewEncoder(&input).Encode(values[i]); err != nil {
			t.Fatal(err)
		}
	}
	node := exec.CommandContext(t.Context(), "node", "lib/yaml.js")
	node.Stdin = &input
	out, err := node.Output()
	if err != nil {
		t.Fatal(err)
	}
	documents := strings.Split(string(out), "\n---\n")
	if len(documents) != len(values)+1 {
		t.Fatalf("%d documents of %d values", len(documents)-1, len(values))
	}
	for i, want := range values {
		var got any
		if err := yaml.Unmarshal([]byte(documents[i]), &got); err != nil {
			t.Errorf("%q: %v\n%s", want, err, documents[i])
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\n%s", documents[i], diff)
		}
	}
}
