// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
)

func TestWhatOfABuildCanBeRepublished(t *testing.T) {
	t.Parallel()
	pushed := &build.Artifact{Reference: "h/a:1", Digest: "sha256:1", Version: "4f1c2ab"}
	both := *pushed
	both.Hawkbit = &build.HawkbitArtifact{Controller: "sensor-7"}
	retained := &build.Retained{Build: "a", Claim: "pvc-1", Version: "4f1c2ab"}
	oci, hawkbit := build.Description{Image: "a:1"}, build.Description{Controller: "sensor-7"}
	two := build.Description{Image: "a:1", Controller: "sensor-7"}
	fromRegistry := &build.Publication{Build: "b", Commit: "c", Artifact: *pushed}
	fromClaim := &build.Publication{Build: "a", Commit: "c", Artifact: build.Artifact{Version: "4f1c2ab"}, Claim: "pvc-1"}
	for name, tt := range map[string]struct {
		run  build.Run
		want *build.Publication
	}{
		"hawkBit refused": {
			build.Run{Description: two, Status: build.Status{Phase: build.Failed, Artifact: pushed}},
			fromRegistry,
		},
		"hawkBit refused, and it is retained": {
			build.Run{Description: two, Retained: retained, Status: build.Status{Phase: build.Failed, Artifact: pushed}},
			fromRegistry,
		},
		"back to one that is in both": {
			build.Run{Description: two, Status: build.Status{Phase: build.Succeeded, Artifact: &both}},
			fromRegistry,
		},
		"the registry refused": {
			build.Run{Description: two, Retained: retained, Status: build.Status{Phase: build.Failed}},
			fromClaim,
		},
		"the only registry refused": {
			build.Run{Description: oci, Retained: retained, Status: build.Status{Phase: build.Failed}},
			fromClaim,
		},
		"the only hawkBit refused": {
			build.Run{Description: hawkbit, Retained: retained, Status: build.Status{Phase: build.Failed}},
			fromClaim,
		},
		"the builder failed": {build.Run{Description: two, Status: build.Status{Phase: build.Failed}}, nil},
		"it runs": {
			build.Run{Description: two, Status: build.Status{Phase: build.Running, Artifact: pushed}},
			nil,
		},
		"it is in the only place that it has": {
			build.Run{Description: oci, Status: build.Status{Phase: build.Succeeded, Artifact: pushed}},
			nil,
		},
		"hawkBit alone": {
			build.Run{
				Description: hawkbit,
				Status:      build.Status{Phase: build.Succeeded, Artifact: &build.Artifact{Version: "x"}},
			},
			nil,
		},
	} {
		tt.run.ID, tt.run.Commit, tt.run.Controller = "b", "c", tt.run.Description.Controller
		got, err := build.PublicationOf(tt.run)
		if diff := cmp.Diff(tt.want, got); diff != "" || (err != nil) != (tt.want == nil) {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}
