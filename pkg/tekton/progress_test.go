// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

// took is a build whose steps took so many seconds, one after the other.
func took(n int, seconds ...int) build.Run {
	r := runAt(n, build.Succeeded)
	at := r.Requested
	r.Started = at
	for i, s := range seconds {
		next := at.Add(time.Duration(s) * time.Second)
		r.Steps = append(r.Steps, build.Step{Name: stepNames[i], State: build.StepSucceeded, Started: at, Completed: next})
		at = next
	}
	r.Completed = at
	return r
}

var stepNames = []string{"fetch-source", "build-firmware", "publish"}

func runAt(n int, phase build.Phase) build.Run {
	id := fmt.Sprintf("0190f2a4-6c3b-7a57-8f0e-%012d", n)
	return build.Run{
		ID: id, Name: build.RunName(id), UID: id, Object: build.ObjectRef{Application: "a"},
		Status: build.Status{Phase: phase, Requested: now.Add(time.Duration(n) * time.Hour)},
	}
}

// runs is a build whose step of that number runs; the ones before took no time.
func runs(n, step int) build.Run {
	r := runAt(n, build.Running)
	r.Reason, r.Started = build.ReasonBuilding, r.Requested
	r.Progress = []float64{5, 20, 85}[step]
	for i, name := range stepNames {
		s := build.Step{Name: name, State: build.StepWaiting}
		switch {
		case i < step:
			s = build.Step{Name: name, State: build.StepSucceeded, Started: r.Started, Completed: r.Started}
		case i == step:
			s.State, s.Started = build.StepRunning, r.Started
		}
		r.Steps = append(r.Steps, s)
	}
	return r
}

// TestTheProgressIsThatOfEarlierBuilds: each step counts as long as it took in the last ones that succeeded.
func TestTheProgressIsThatOfEarlierBuilds(t *testing.T) {
	t.Parallel()
	history := []build.Run{took(1, 10, 60, 30), took(2, 20, 70, 10), took(3, 10, 60, 30), took(0, 1, 1, 1)}
	failed := took(4, 1, 1, 1)
	failed.Phase = build.Failed
	other := took(5, 1, 1)
	for _, tt := range []struct {
		name    string
		step    int
		seconds int
		counted string
		history []build.Run
		want    float64
		end     int // seconds after the start
	}{
		{"without one, that of the stage", 1, 30, "", nil, 20, 0},
		{"without one, by the count", 1, 30, "[50/100] x", nil, 52.5, 0},
		{"at the beginning", 0, 0, "", history[:3], 0, 100},
		{"in the first step", 0, 5, "", history[:3], 5, 100},
		{"a step that takes longer has not ended", 0, 500, "", history[:3], 9.5, 100},
		{"in the second step", 1, 30, "", history[:3], 40, 100},
		{"by the count", 1, 30, "[ 90%] x", history[:3], 64, 100},
		{"a count of all has not ended", 1, 1, "[100%] Built", history[:3], 67, 100},
		{"the count is that of the builder", 2, 15, "[100%] Built", history[:3], 85, 100},
		{"never a hundred before it has succeeded", 2, 3000, "", history[:3], 98.5, 100},
		{"of what failed nothing counts", 1, 30, "", append([]build.Run{failed}, history[:3]...), 40, 100},
		{"of other steps nothing counts", 1, 30, "", append([]build.Run{other}, history[:3]...), 40, 100},
		{"after builds that took no second", 1, 0, "", []build.Run{took(1, 0, 0, 0)}, 33.3, 1},
		{"after builds that took no second, by the count", 1, 0, "[50/100] x", []build.Run{took(1, 0, 0, 0)}, 50, 1},
		{"a clock that is behind", 0, -5, "", history[:3], 0, 100},
	} {
		r := runs(9, tt.step)
		percent, end := tekton.ProgressOf(r, tt.history, tt.counted, r.Started.Add(time.Duration(tt.seconds)*time.Second))
		want := time.Time{}
		if tt.end > 0 {
			want = r.Started.Add(time.Duration(tt.end) * time.Second)
		}
		if percent != tt.want || !end.Equal(want) {
			t.Errorf("%s: %v until %s, want %v until %s", tt.name, percent, end, tt.want, want)
		}
	}
}

// TestOnlyCountsOfTheBuildCount: the list of lines is strict.
func TestOnlyCountsOfTheBuildCount(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]string{
		"[ 17%] Building C object x.o":                  "0.17 of 100",
		"[100%] Built target x":                         "1.00 of 100",
		"[907/1424] Building C object":                  "0.64 of 1424",
		"\x1b[32m[12/40]\x1b[0m \x1b[1mCompiling\x1b[m": "0.30 of 40",
		"[1/40] a\r[2/40] b\r":                          "0.05 of 40",
		"[1/2] Re-running CMake...":                     "0.00 of 0",
		"[20/40] a\n[3/200] b":                          "0.01 of 200",
		"[3/200] b\n[20/40] a nested build":             "0.01 of 200",
		"[30/200] a\n[3/200] late":                      "0.15 of 200",
		"RAM: [==        ]  19.3% (used 6324 bytes)":    "0.00 of 0",
		"Unpacking toolchain 100%":                      "0.00 of 0",
		"Writing at 0x00010000... (45 %)":               "0.00 of 0",
		"  [12/40] indented":                            "0.00 of 0",
		"[12/40]no blank":                               "0.00 of 0",
		"[50/40] more than all":                         "0.00 of 0",
		"[999%] x":                                      "0.00 of 0",
		"[9999999/9999999] x":                           "0.00 of 0",
		"":                                              "0.00 of 0",
	} {
		if got := tekton.CountIn(output); got != want {
			t.Errorf("%q: %s, want %s", output, got, want)
		}
	}
}

func FuzzCountIn(f *testing.F) {
	f.Add("[12/40] a\n[ 17%] b\r\x1b[0m[")
	f.Fuzz(func(t *testing.T, output string) {
		got := tekton.CountIn(output)
		var part float64
		var of int
		if _, err := fmt.Sscanf(got, "%f of %d", &part, &of); err != nil || part < 0 || part > 1 || of < 0 {
			t.Errorf("%q: %s", output, got)
		}
	})
}

// TestTheProgressOfAStoreNeverFalls, and moves by steps that are worth a write.
func TestTheProgressOfAStoreNeverFalls(t *testing.T) {
	t.Parallel()
	s := tekton.NewStore()
	r := runs(9, 1)
	at := r.Started
	tekton.SetClock(s, func() time.Time { return at })
	s.Replace([]build.Run{took(1, 10, 60, 30), r})
	var seen []string
	defer s.Watch(func(r build.Run, _ bool) { seen = append(seen, fmt.Sprint(r.Phase, " ", r.Progress)) })()
	for _, second := range []int{6, 6, 12, 3} {
		at = r.Started.Add(time.Duration(second) * time.Second)
		tekton.Advance(s, "")
	}
	tekton.Advance(s, "[50/100] x")
	s.Set(runs(9, 1)) // an event that comes late
	found, err := s.Find(r.Name)
	if err != nil || found.Progress != 40 || !found.Expected.Equal(r.Started.Add(100*time.Second)) {
		t.Errorf("%v %+v", err, found.Status)
	}
	at = r.Started.Add(50 * time.Second)
	s.Replace([]build.Run{took(1, 10, 60, 30), runs(9, 1)}) // a watch that broke
	failed := runAt(9, build.Failed)
	failed.Progress = 20
	s.Set(failed)
	want := "Running 16, Running 22, Running 40, Failed 40"
	if diff := cmp.Diff(want, strings.Join(seen, ", ")); diff != "" {
		t.Error(diff)
	}
}
