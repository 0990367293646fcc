// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// TestRightsAreThoseThatAreNeeded: what each account may do, in each namespace of ours, besides what
// every account may: to ask for its own rights, and to read what is public of the API server.
func TestRightsAreThoseThatAreNeeded(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	for _, account := range []string{"ajour:api", "ajour:builder", "ajour:status", "ajour:registry-source", "ajour-builds:ajour-build", "ajour-builds:default"} {
		for _, namespace := range []string{"ajour", "ajour-builds", "default"} {
			out, err := kubectl(
				t.Context(),
				"",
				"auth",
				"can-i",
				"--list",
				"--no-headers",
				"--as=system:serviceaccount:"+account,
				"--namespace="+namespace,
			)
			if err != nil {
				t.Fatal(err)
			}
			var rights []string
			for line := range strings.Lines(out) {
				line = sortedVerbs(strings.Join(strings.Fields(line), " "))
				if line != "" && !strings.HasPrefix(line, "selfsubject") && !strings.HasPrefix(line, "[/") {
					rights = append(rights, line)
				}
			}
			slices.Sort(rights)
			for _, right := range rights {
				fmt.Fprintf(&got, "%s in %s: %s\n", account, namespace, right)
			}
		}
	}
	const file = "testdata/rights.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("(run the test with -update if this is right): %s", diff)
	}
}

// sortedVerbs sorts the verbs at the end of a line: their order is that in which roles were bound.
func sortedVerbs(line string) string {
	at := strings.LastIndex(line, "[") + 1
	verbs := strings.Fields(strings.TrimSuffix(line[at:], "]"))
	slices.Sort(verbs)
	return line[:at] + strings.Join(verbs, " ") + "]"
}
