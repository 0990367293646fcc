// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"encoding/json"
	"time"
)

// SectionRecord is the section of an object's status that holds its [Record].
const SectionRecord = "firmwareBuild"

// Record is what an object's status says of its newest build.
type Record struct {
	Build           string    `json:"build"`
	Phase           Phase     `json:"phase"`
	Reason          Reason    `json:"reason"`
	Message         string    `json:"message,omitempty"`
	Progress        float64   `json:"progress"`
	Trigger         Trigger   `json:"trigger,omitempty"`
	Requested       time.Time `json:"requested"`
	Started         time.Time `json:"started,omitzero"`
	Completed       time.Time `json:"completed,omitzero"`
	Commit          string    `json:"commit,omitempty"`
	DescriptionHash string    `json:"descriptionHash,omitempty"`
	Artifact        *Artifact `json:"artifact,omitempty"`
	// Unannounced says that the build has ended, and that no event could say so yet.
	Unannounced bool `json:"unannounced,omitempty"`
}

// RecordOf reads the record of an object. One that is missing or broken is the zero
// Record: it is written anew.
func RecordOf(o Object) Record {
	var r Record
	if raw := o.Status(SectionRecord); raw != nil && json.Unmarshal(raw, &r) != nil {
		return Record{}
	}
	return r
}

// Run returns the build as far as the record tells.
func (r Record) Run() Run {
	return Run{
		ID: r.Build, Phase: r.Phase, Reason: r.Reason, Message: r.Message, Progress: r.Progress, Trigger: r.Trigger, Requested: r.Requested,
		Started: r.Started, Completed: r.Completed, Commit: r.Commit, DescriptionHash: r.DescriptionHash, Artifact: r.Artifact,
	}
}

// Record returns what is recorded of a build.
func (r Run) Record() Record {
	return Record{
		Build: r.ID, Phase: r.Phase, Reason: r.Reason, Message: r.Message, Progress: r.Progress, Trigger: r.Trigger, Requested: r.Requested.UTC(),
		Started: utc(r.Started), Completed: utc(r.Completed), Commit: r.Commit, DescriptionHash: r.DescriptionHash, Artifact: r.Artifact,
	}
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}
