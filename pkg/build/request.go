// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"encoding/json"
	"fmt"
	"time"
)

// Cause says what began a build.
type Cause string

// The causes of a build.
const (
	CauseAPI     Cause = "api"
	CauseChange  Cause = "change"
	CausePush    Cause = "push"
	CausePublish Cause = "publish" // publishes what an earlier build compiled
	CauseRerun   Cause = "rerun"   // builds what an earlier build has built, of the same commit
)

// Causes is the closed list of causes, sorted.
var Causes = []string{
	string(CauseAPI), string(CauseChange), string(CausePublish), string(CausePush), string(CauseRerun),
}

// OfDescription reports whether a build was made of the description that its object had then: a later
// description is compared with that of such a build.
func (c Cause) OfDescription() bool { return c != CausePublish && c != CauseRerun }

// Request asks for a build of an object. It is the data of the event build.requested. It
// does not carry the description: the builder reads that from the object itself.
type Request struct {
	ID     string    `json:"id"`
	Object ObjectRef `json:"target"`
	// DescriptionHash is that of the description that the caller saw; it is only reported.
	DescriptionHash string `json:"descriptionHash,omitempty"`
	// Revision is a branch, a tag or a commit to build; empty for that of the description.
	Revision string `json:"revision,omitempty"`
	// Of is the id of the earlier build to rerun; empty for a build of the description that the
	// object has. What that build was made of is found by the builder.
	Of        string    `json:"of,omitempty"`
	Requester string    `json:"requester,omitempty"`
	Cause     Cause     `json:"cause"`
	Time      time.Time `json:"time"`
}

// Validate refuses a request that no api of this project made.
func (r Request) Validate() error {
	if r.Of != "" && !ValidID(r.Of) {
		return fmt.Errorf("build %s runs %s again, which is not a UUID", quote(r.ID), quote(r.Of))
	}
	if err := CheckRevision(r.Revision); err != nil {
		return fmt.Errorf("build %s: %w", quote(r.ID), err)
	}
	return validate(r.ID, r.Object, r.Time)
}

// Republish asks to publish what an earlier build compiled. It is the data of the event
// build.republish. It says which build; what that build left is found by the builder, since
// an event could name the workspace of a different tenant.
type Republish struct {
	ID        string    `json:"id"`
	Object    ObjectRef `json:"target"`
	Of        string    `json:"of"` // id of the earlier build
	Requester string    `json:"requester,omitempty"`
	Time      time.Time `json:"time"`
}

// Validate refuses what no api of this project made.
func (r Republish) Validate() error {
	if !ValidID(r.Of) {
		return fmt.Errorf("build %s republishes %s, which is not a UUID", quote(r.ID), quote(r.Of))
	}
	return validate(r.ID, r.Object, r.Time)
}

// Rejection says that a build was refused before it became a run. It is the data of the
// event build.rejected.
type Rejection struct {
	ID      string    `json:"id"`
	Object  ObjectRef `json:"target"`
	Reason  Reason    `json:"reason"`
	Message string    `json:"message"`
	Time    time.Time `json:"time"`
	// Section is the hash of the section that was wrong: see [SectionHash]. It is empty if the
	// description is not the reason.
	Section string `json:"section,omitempty"`
}

// SectionHash returns 32 hexadecimal digits that change with a section spec.firmware.
func SectionHash(section json.RawMessage) string { return digest("section", string(section))[:32] }

// Validate refuses a rejection that no service of this project made.
func (r Rejection) Validate() error {
	if !r.Reason.Rejects() {
		return fmt.Errorf(
			"build %s is rejected for the reason %s, which is not one of a rejection", quote(r.ID),
			quote(string(r.Reason)),
		)
	}
	return validate(r.ID, r.Object, r.Time)
}

// Cancellation asks for the end of a build. It is the data of the event build.cancelled.
type Cancellation struct {
	ID        string    `json:"id"`
	Object    ObjectRef `json:"target"`
	Requester string    `json:"requester,omitempty"`
	Time      time.Time `json:"time"`
}

// Validate refuses a cancellation that no api of this project made.
func (c Cancellation) Validate() error { return validate(c.ID, c.Object, c.Time) }

func validate(id string, o ObjectRef, at time.Time) error {
	if !ValidID(id) {
		return fmt.Errorf("build id %s is not a UUID", quote(id))
	}
	if at.IsZero() {
		return fmt.Errorf("build %s has no time", id)
	}
	return o.Validate()
}

// maxClockSkew is how far the clocks of the services may be apart.
const maxClockSkew = time.Minute

// Future reports whether a time is so far ahead that no service of this project can have
// written it. A record or an event of the future would win over all later builds.
func Future(t, now time.Time) bool { return t.Sub(now) > maxClockSkew }
