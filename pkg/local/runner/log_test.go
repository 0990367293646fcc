// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

func (f *fixture) read(run, task, step string, o build.LogOptions) string {
	f.t.Helper()
	r, err := f.Log(f.t.Context(), f.task(run, task), step, o)
	if err != nil {
		f.t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(data)
}

func TestTheEndOfALog(t *testing.T) {
	t.Parallel()
	f := start(t, t.TempDir())
	f.create(pipelineRun("run", "echo a; echo b; echo; printf c"))
	f.ended("run")
	for tail, want := range map[int]string{0: "a\nb\n\nc", 1: "c", 2: "\nc", 3: "b\n\nc", 4: "a\nb\n\nc", 9: "a\nb\n\nc"} {
		if got := f.read("run", "second", "run", build.LogOptions{Tail: tail}); got != want {
			t.Errorf("%d lines: %q, want %q", tail, got, want)
		}
	}
}

// TestLinesOfALogHaveTimes, as those that the API server sends.
func TestLinesOfALogHaveTimes(t *testing.T) {
	t.Parallel()
	f := start(t, t.TempDir())
	before := time.Now()
	f.create(pipelineRun("run", "echo a; sleep 0.2; echo b c; printf '\\nlast'"))
	f.ended("run")
	after := time.Now()
	for tail, want := range map[int][]string{0: {"a", "b c", "", "last"}, 3: {"b c", "", "last"}} {
		log := f.read("run", "second", "run", build.LogOptions{Timestamps: true, Tail: tail, Follow: true})
		lines := strings.Split(log, "\n")
		if len(lines) != len(want) {
			t.Fatalf("%q", log)
		}
		last := before
		for i, line := range lines {
			text, rest, _ := strings.Cut(line, " ")
			at, err := time.Parse(time.RFC3339Nano, text)
			if err != nil || at.Before(last) || at.After(after) || rest != want[i] {
				t.Errorf("%v: %q after %s", err, line, last)
			}
			if rest == "b c" && tail == 0 && at.Sub(last) < 150*time.Millisecond {
				t.Errorf("%s is not later than %s", at, last)
			}
			last = at
		}
	}
}
