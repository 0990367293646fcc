// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Most runs of a namespace have ended, and their state stays as it is. It is recorded on the run when
// what is gone with its pods is archived, so that a service that starts reads no more of them than their
// metadata, and nothing of their TaskRuns: a tenth of what the API server would send.

// recordFor returns the record of a build that has ended.
func recordFor(r build.Run) (string, error) {
	r.Description = build.Description{}
	text, err := json.Marshal(build.Stored(r))
	return string(text), err
}

// recordOf reads the state that was recorded on a run; nil if there is none. One that was copied from elsewhere
// is none.
func recordOf(m *metav1.ObjectMeta) *build.Run {
	var s build.StoredRun
	if text := m.Annotations[annotationState]; text == "" || json.Unmarshal([]byte(text), &s) != nil {
		return nil
	}
	r := s.Restored()
	of := build.ObjectRef{Application: m.Annotations[annotationApplication], Device: m.Annotations[annotationDevice]}
	if m.Labels[labelManagedBy] != managedBy || r.ID != m.Labels[labelBuild] || build.RunName(r.ID) != m.Name ||
		r.Name != m.Name || types.UID(r.UID) != m.UID || r.Object != of || of.Validate() != nil || !r.Phase.Final() {
		return nil
	}
	return &r
}

// briefHeadOf reads a PipelineRun by its metadata. It reports false if they do not have all of its state.
func briefHeadOf(m *metav1.PartialObjectMetadata) (*head, bool) {
	r := recordOf(&m.ObjectMeta)
	if r == nil {
		return nil, false
	}
	ok := r.Phase == build.Succeeded
	return &head{
		run: *r, recorded: true, condition: condition{known: true, ok: ok, failed: !ok, since: r.Completed},
	}, true
}
