// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"time"
)

// Trigger says what asked for a build.
type Trigger string

// The kinds of trigger.
const (
	TriggerAPI    Trigger = "api"
	TriggerChange Trigger = "change"
	// TriggerPublish publishes what an earlier build made, and compiles nothing.
	TriggerPublish Trigger = "publish"
)

// Request asks for one build. It is the data of the event build.requested.
type Request struct {
	ID              string      `json:"id"`
	Target          Target      `json:"target"`
	Description     Description `json:"description"`
	DescriptionHash string      `json:"descriptionHash"`
	Requester       string      `json:"requester,omitempty"`
	Trigger         Trigger     `json:"trigger"`
	Time            time.Time   `json:"time"`
	// Publishes is the id of an earlier build of the target, whose firmware is published
	// in place of one that is compiled; empty for an ordinary build.
	Publishes string `json:"publishes,omitempty"`
	// Publication is what that build has left. No event says it: the builder looks.
	Publication *Publication `json:"-"`
}

var idPattern = pattern(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// ValidID reports whether id has the form of a build id, a UUID in lower case.
func ValidID(id string) bool { return idPattern().MatchString(id) }

// DerivedID returns a build id that follows from the parts: a UUID of version 8
// (RFC 9562), the same for the same parts.
func DerivedID(parts ...string) string {
	d := []byte(digest(append([]string{"id"}, parts...)...)[:32])
	d[12], d[16] = '8', "89ab"[d[16]&3]
	return fmt.Sprintf("%s-%s-%s-%s-%s", d[:8], d[8:12], d[12:16], d[16:20], d[20:32])
}

// Validate refuses a request that no api of this project made.
func (r Request) Validate() error {
	if !ValidID(r.ID) {
		return fmt.Errorf("build id %s is no UUID", quote(r.ID))
	}
	if r.Time.IsZero() {
		return fmt.Errorf("build %s has no time", r.ID)
	}
	if r.Publishes != "" && !ValidID(r.Publishes) {
		return fmt.Errorf("build %s publishes %s, which is no UUID", r.ID, quote(r.Publishes))
	}
	return r.Target.Validate()
}

// RunName returns the name of the PipelineRun of a build. It is stable: an
// event that is delivered again must find the run that it made before.
func RunName(id string) string {
	return "fw-" + digest("run", id)[:40]
}

// Rejection says that a build was refused before it became a run. It is the
// data of the event build.rejected.
type Rejection struct {
	ID      string    `json:"id"`
	Target  Target    `json:"target"`
	Reason  Reason    `json:"reason"`
	Message string    `json:"message"`
	Time    time.Time `json:"time"`
}

// Cancellation asks for the end of a build. It is the data of build.cancelled.
type Cancellation struct {
	ID        string `json:"id"`
	Requester string `json:"requester,omitempty"`
}

// Run is a build as it stands: what was asked for, and how far it has come.
type Run struct {
	ID              string `json:"id"`
	Name            string `json:"name"`
	UID             string `json:"-"`
	Target          Target `json:"target"`
	DescriptionHash string `json:"descriptionHash"`
	// Description is what the build was made of.
	Description Description `json:"-"`
	Requester   string      `json:"requester,omitempty"`
	Trigger     Trigger     `json:"trigger"`
	Requested   time.Time   `json:"requested"`
	Started     time.Time   `json:"started,omitzero"`
	Completed   time.Time   `json:"completed,omitzero"`
	Phase       Phase       `json:"phase"`
	Reason      Reason      `json:"reason"`
	Message     string      `json:"message,omitempty"`
	// Progress is in percent, 0 to 100.
	Progress float64   `json:"progress"`
	Commit   string    `json:"commit,omitempty"`
	Artifact *Artifact `json:"artifact,omitempty"`
	// Kept is what the builder made, if the run did not succeed in publishing it and its
	// workspace outlives it; nil otherwise.
	Kept *Kept `json:"-"`
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

// After reports whether r was asked for after s. Builds that were asked for at
// the same time are ordered by their ids, so that every observer agrees.
func (r Run) After(s Run) bool {
	if !r.Requested.Equal(s.Requested) {
		return r.Requested.After(s.Requested)
	}
	return r.ID > s.ID
}

// Active reports whether the run has not ended yet.
func (r Run) Active() bool { return !r.Phase.Final() }
