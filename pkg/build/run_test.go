// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
)

func TestConditionsReportEachPhase(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		run  build.Status
		want [2]build.Condition
	}{
		{
			"a running build is unknown",
			build.Status{Phase: build.Running, Reason: build.ReasonBuilding, Progress: 44.2},
			[2]build.Condition{
				{Type: "BuildStatus", Status: "Unknown", Reason: "Building"},
				{Type: "BuildProgress", Status: "Unknown", Message: "44.2 %"},
			},
		},
		{
			"a finished build is true at 100.0 %",
			build.Status{Phase: build.Succeeded, Reason: build.ReasonSucceeded, Progress: 100},
			[2]build.Condition{
				{Type: "BuildStatus", Status: "True", Reason: "Succeeded"},
				{Type: "BuildProgress", Status: "True", Message: "100.0 %"},
			},
		},
		{
			"a failed build is false and says why",
			build.Status{
				Phase:    build.Failed,
				Reason:   build.ReasonRegistryPushFailed,
				Message:  "Failed pushing artifact to registry: foo",
				Progress: 85,
			},
			[2]build.Condition{
				{
					Type:    "BuildStatus",
					Status:  "False",
					Reason:  "RegistryPushFailed",
					Message: "Failed pushing artifact to registry: foo",
				},
				{Type: "BuildProgress", Status: "False", Message: "85.0 %"},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.run.Conditions()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"a\x00b\x1b[31mc\r\nd":   "a b [31mc d",
		"  x  ":                  "x",
		"bad \xff utf8":          "bad utf8",
		"right\u202eto left":     "right to left",
		strings.Repeat("é", 999): strings.Repeat("é", 510) + "…",
	}
	for in, want := range tests {
		if diff := cmp.Diff(want, build.Clean(in)); diff != "" {
			t.Errorf("Clean(%q): %s", in, diff)
		}
	}
}

func TestStepFailureKnowsOnlyWhatAStepCanMean(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]build.Reason{
		"RevisionNotFound": build.ReasonRevisionNotFound,
		"Succeeded":        build.ReasonInternalError,
		"":                 build.ReasonInternalError,
		"<script>":         build.ReasonInternalError,
	} {
		if got := build.StepFailure(word); got != want {
			t.Errorf("StepFailure(%q) = %s, want %s", word, got, want)
		}
	}
}

func TestRunsAreOrderedByRequest(t *testing.T) {
	t.Parallel()
	now := time.Unix(1, 0)
	at := func(id string, requested time.Time) build.Run {
		return build.Run{ID: id, Status: build.Status{Requested: requested}}
	}
	older, newer := at("b", now), at("a", now.Add(1))
	if newer.Compare(older) != 1 || older.Compare(newer) != -1 || older.Compare(older) != 0 {
		t.Error("time does not order")
	}
	if twin := at("c", now); twin.Compare(older) != 1 || older.Compare(twin) != -1 {
		t.Error("the id does not break a tie")
	}
}

func FuzzRunName(f *testing.F) {
	f.Add("0190f2a4-6c3b-7a57-8f0e-0242ac120002")
	name := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	f.Fuzz(func(t *testing.T, id string) {
		if got := build.RunName(id); !name.MatchString(got) {
			t.Errorf("RunName(%q) = %q is no Kubernetes name", id, got)
		}
	})
}
