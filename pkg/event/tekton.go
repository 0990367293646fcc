// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"fmt"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2"
)

// tektonPrefix starts the types of all of Tekton's events.
const tektonPrefix = "dev.tekton.event."

// Labels that Tekton puts on the TaskRuns of a PipelineRun.
const (
	labelPipelineRun    = "tekton.dev/pipelineRun"
	labelPipelineRunUID = "tekton.dev/pipelineRunUID"
)

// Tekton is what is read of a Tekton event: which PipelineRun to read.
type Tekton struct {
	Namespace string
	Name      string
	UID       string
}

// IsTekton reports whether an event is one of Tekton's.
func IsTekton(ev cloudevents.Event) bool { return strings.HasPrefix(ev.Type(), tektonPrefix) }

type tektonObject struct {
	Metadata struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
		UID       string            `json:"uid"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
}

// DecodeTekton finds the PipelineRun that an event of it or of one of its
// TaskRuns speaks of. It reports false for an event of any other object, which
// is none of ours. The event's source is malformed in all Tekton versions, and
// its subject is the name of the object only, so neither is read.
func DecodeTekton(ev cloudevents.Event) (Tekton, bool, error) {
	var data struct {
		PipelineRun *tektonObject `json:"pipelineRun"`
		TaskRun     *tektonObject `json:"taskRun"`
	}
	if err := ev.DataAs(&data); err != nil {
		return Tekton{}, false, fmt.Errorf("%w: %s: %w", ErrMalformed, ev.Type(), err)
	}
	var t Tekton
	switch {
	case data.PipelineRun != nil:
		m := data.PipelineRun.Metadata
		t = Tekton{Namespace: m.Namespace, Name: m.Name, UID: m.UID}
	case data.TaskRun != nil:
		m := data.TaskRun.Metadata
		t = Tekton{Namespace: m.Namespace, Name: m.Labels[labelPipelineRun], UID: m.Labels[labelPipelineRunUID]}
	}
	return t, t.Name != "" && t.UID != "", nil
}
