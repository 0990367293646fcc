// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"encoding/json"
	"fmt"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Most runs of a namespace have ended, and their state stays as it is. It is recorded on the run when
// what is gone with its pods is archived. A service that starts then lists the metadata of such a run only, and
// does not read its TaskRuns: a tenth of what the API server would send.

// recordVersion changes when a record says something else than before: those of a different version are ignored,
// and written anew.
const recordVersion = 1

// record is what the metadata of a run do not say of a build that has ended: what its status and its TaskRuns
// say.
type record struct {
	Version int `json:"version"`
	// UID is that of the run: a record that was copied is ignored.
	UID types.UID `json:"uid"`

	Phase      build.Phase     `json:"phase"`
	Reason     build.Reason    `json:"reason"`
	Message    string          `json:"message,omitempty"`
	Warnings   []string        `json:"warnings,omitempty"`
	Progress   float64         `json:"progress"`
	Started    time.Time       `json:"started,omitzero"`
	Completed  time.Time       `json:"completed,omitzero"`
	Commit     string          `json:"commit,omitempty"`
	Committed  time.Time       `json:"committed,omitzero"`
	Artifact   *build.Artifact `json:"artifact,omitempty"`
	Steps      []build.Step    `json:"steps,omitempty"`
	Retained   *build.Retained `json:"retained,omitempty"`
	Cancelling bool            `json:"cancelling,omitempty"`
	OnePod     bool            `json:"onePod,omitempty"`
}

// recordFor returns the record of a build that has ended, as text.
func recordFor(r build.Run, onePod bool) (string, error) {
	text, err := json.Marshal(record{
		Version: recordVersion, UID: types.UID(r.UID), Phase: r.Phase, Reason: r.Reason, Message: r.Message,
		Warnings: r.Warnings, Progress: r.Progress, Started: r.Started, Completed: r.Completed, Commit: r.Commit,
		Committed: r.Committed, Artifact: r.Artifact, Steps: r.Steps, Retained: r.Retained, Cancelling: r.Cancelling,
		OnePod: onePod,
	})
	if err != nil {
		return "", fmt.Errorf("record the state of run %s: %w", r.Name, err)
	}
	return string(text), nil
}

// recordOf reads the record on a run; nil if there is none that is its own.
func recordOf(m *metav1.ObjectMeta) *record {
	var r record
	text := m.Annotations[annotationState]
	if text == "" || json.Unmarshal([]byte(text), &r) != nil || r.Version != recordVersion || r.UID != m.UID ||
		!r.Phase.Final() {
		return nil
	}
	return &r
}

// run adds what the record says to what the metadata say of a build.
func (r *record) run(b build.Run) build.Run {
	b.Phase, b.Reason, b.Message, b.Warnings, b.Progress = r.Phase, r.Reason, r.Message, r.Warnings, r.Progress
	b.Started, b.Completed, b.Commit, b.Committed = r.Started, r.Completed, r.Commit, r.Committed
	b.Artifact, b.Steps, b.Retained, b.Cancelling = r.Artifact, r.Steps, r.Retained, r.Cancelling
	b.Archived = true
	return b
}

// briefHeadOf reads a PipelineRun by its metadata. It reports false if its state is not recorded.
func briefHeadOf(m *metav1.PartialObjectMetadata) (*head, bool) {
	r := recordOf(&m.ObjectMeta)
	if r == nil {
		return nil, false
	}
	h, _, ours := headOf(&v1.PipelineRun{ObjectMeta: m.ObjectMeta})
	if !ours {
		return nil, false
	}
	ok := r.Phase == build.Succeeded
	h.record, h.onePod, h.condition = r, r.OnePod, condition{known: true, ok: ok, failed: !ok, since: r.Completed}
	return h, true
}
