// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// TestABuilderIsTheProgramThatWasNamed, and not one of the same path in a repository.
func TestABuilderIsTheProgramThatWasNamed(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "build.sh")
	ajour := filepath.Join(t.TempDir(), "ajour")
	for _, file := range []string{program, ajour + "-step"} {
		if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(here, program)
	if err != nil {
		t.Fatal(err)
	}
	f := devFlags{
		listen:      "127.0.0.1:0",
		builders:    []string{"b=" + relative},
		engine:      "none",
		parallel:    1,
		images:      "application",
		controllers: "any",
	}
	o, err := f.options(Env{Program: ajour, Getenv: func(string) string { return "" }})
	if err != nil || o.Builders["b"] != program {
		t.Errorf("%q is %q: %v", relative, o.Builders["b"], err)
	}
}
