// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"cmp"
	"time"
)

// Spec is everything that a run is made of.
type Spec struct {
	ID     string
	Object ObjectRef
	UIDs   UIDs
	// Description is what is built; Hash is that of the description.
	Description Description
	Hash        string
	// Revision is the commit to build; empty for what the description says.
	Revision  string
	Requester string
	Cause     Cause
	Requested time.Time
	// Publication is what an earlier build left; nil to compile the description.
	Publication *Publication
}

// Run is a build as it stands: what was asked for, and its state.
type Run struct {
	ID string `json:"id"`
	// Name and UID are those of the PipelineRun; empty for a build that never had one.
	Name      string    `json:"name,omitempty"`
	UID       string    `json:"-"`
	Object    ObjectRef `json:"target"`
	UIDs      UIDs      `json:"-"`
	Requester string    `json:"requester,omitempty"`
	// Source is where the description says that the source is; empty for a build that never had a
	// run.
	Source Source `json:"source,omitzero"`
	// Committed is when the commit was made that was fetched; zero before that, and for one that compiles nothing.
	Committed time.Time `json:"committed,omitzero"`
	// Steps are what it does, in their order; none for a build that never had a run.
	Steps []Step `json:"steps,omitempty"`
	Status
	// Pending reports that nobody has started the run yet.
	Pending bool `json:"-"`
	// Cancelling reports that the run was cancelled, and may not have ended yet.
	Cancelling bool `json:"-"`
	// Lingering reports that the run has ended, and that a part of it still runs: Tekton can
	// miss a TaskRun that it creates in the moment of a cancellation.
	Lingering bool `json:"-"`
	// Publishes is the id of the earlier build whose firmware the run publishes; empty for one
	// that compiles.
	Publishes string `json:"-"`
	// Trace is the trace context that it was asked for in, as the value of traceparent (W3C Trace
	// Context); empty for none.
	Trace string `json:"-"`
	// Archived reports that the run has ended, and that what would be gone with its pods was archived and its state
	// recorded.
	Archived bool `json:"-"`
	// Log is what is there of its output; nil while that is not known.
	Log *Log `json:"-"`
	// Controller is the hawkBit target that the description names; empty for none.
	Controller string `json:"-"`
	// Retained is what was compiled but published nowhere; nil for nothing.
	Retained *Retained `json:"-"`
	// Secret reports that the build has secret variables, which its output may show.
	Secret bool `json:"-"`
	// Rejected is the hash of the section that was rejected, for a build that never had a run
	// since its description is wrong.
	Rejected string `json:"-"`
	// Description is what the build was made of. It is set only where a run is read in full.
	Description Description `json:"-"`
}

// Validate refuses a run that no service of this project announces.
func (r Run) Validate() error { return validate(r.ID, r.Object, r.Requested) }

// Compare orders builds by the time of their request. Builds that were requested at the
// same time are ordered by their ids, so that every observer agrees.
func (r Run) Compare(s Run) int { return CompareRuns(&r, &s) }

// CompareRuns is like [Run.Compare], without a copy of either build: lists may be long.
func CompareRuns(a, b *Run) int {
	if c := a.Requested.Compare(b.Requested); c != 0 {
		return c
	}
	return cmp.Compare(a.ID, b.ID)
}

// Active reports whether the run has not ended yet.
func (r Run) Active() bool { return !r.Phase.Final() }

// Status is the state of a build, as the run, the record on the object and the API have it.
type Status struct {
	Phase  Phase  `json:"phase"`
	Reason Reason `json:"reason"`
	// Message is for people, and fit for a condition: see [Clean].
	Message string `json:"message,omitempty"`
	// Warnings are those of the description, and of what was published.
	Warnings []string `json:"warnings,omitempty"`
	// Progress is in percent, 0 to 100.
	Progress  float64   `json:"progress"`
	Cause     Cause     `json:"cause,omitempty"`
	Requested time.Time `json:"requested"`
	Started   time.Time `json:"started,omitzero"`
	Completed time.Time `json:"completed,omitzero"`
	// Expected is when a running build will probably end, by how long earlier ones took.
	Expected time.Time `json:"expected,omitzero"`
	// Commit is the full hash of the commit that was fetched, or that a push asks for.
	Commit          string    `json:"commit,omitempty"`
	DescriptionHash string    `json:"descriptionHash,omitempty"`
	Artifact        *Artifact `json:"artifact,omitempty"`
}

// UTC returns the status with all times in UTC.
func (s Status) UTC() Status {
	s.Requested, s.Started = s.Requested.UTC(), s.Started.UTC()
	s.Completed, s.Expected = s.Completed.UTC(), s.Expected.UTC()
	return s
}

// Artifact is what a build published.
type Artifact struct {
	// Reference is the full reference with the tag that was asked for; empty if
	// the artifact is in no OCI registry.
	Reference string `json:"reference,omitempty"`
	// Digest is that of the manifest, "sha256:…"; empty likewise.
	Digest string `json:"digest,omitempty"`
	// Hawkbit says where the artifact is in hawkBit; nil if it is not there.
	Hawkbit *HawkbitArtifact `json:"hawkbit,omitempty"`
	// Version is the REVISION that the builder was given (OCI-4).
	Version string `json:"version"`
	// Size is that of the firmware, in bytes.
	Size int64 `json:"size"`
	// SHA256 is the bare hexadecimal checksum of the firmware.
	SHA256 string `json:"sha256"`
}

// HawkbitArtifact is what a build published to hawkBit.
type HawkbitArtifact struct {
	// Controller is the target that it was assigned to.
	Controller string `json:"controller"`
	// DistributionSet is the id of the set, Action that of the assignment: 0 if the
	// target had it already.
	DistributionSet int64 `json:"distributionSet"`
	Action          int64 `json:"action,omitempty"`
}

// Query selects builds. The zero Query selects all of them.
type Query struct {
	// Object selects the builds of one object.
	Object ObjectRef
	// Application selects those of an application and of its devices.
	Application string
	// Active selects builds that have not ended, or linger.
	Active bool
	// Newest selects the newest of those that each object has.
	Newest bool
}
