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
	Build string `json:"build"`
	// Object is the uid of the object that was built.
	Object string `json:"uid,omitempty"`
	Status
	// Unannounced says that the build has ended, and that its end was not announced yet.
	Unannounced bool `json:"unannounced,omitempty"`
}

// RecordOf reads the record of an object. One that is missing, broken, of an object with a different
// uid, of a state that does not exist or of the future is the zero Record: it is written anew.
// Anybody who may write the object may have put it there.
func RecordOf(o Object, now time.Time) Record {
	var r Record
	raw := o.Status(SectionRecord)
	if raw == nil || json.Unmarshal(raw, &r) != nil || !r.Phase.Valid() || !r.Reason.Valid() ||
		!SameUID(r.Object, o.UID()) {
		return Record{}
	}
	if Future(r.Requested, now) || Future(r.Started, now) || Future(r.Completed, now) {
		return Record{}
	}
	return r
}

// Run returns the build as far as the record tells.
func (r Record) Run() Run { return Run{ID: r.Build, Status: r.Status} }

// Record returns what is recorded of a build.
func (r Run) Record() Record { return Record{Build: r.ID, Object: r.UIDs.Of(), Status: r.Status.UTC()} }
