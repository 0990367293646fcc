// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import "slices"

// Phase is the state of a build.
type Phase string

// The phases of a build.
const (
	Queued    Phase = "Queued"
	Running   Phase = "Running"
	Succeeded Phase = "Succeeded"
	Failed    Phase = "Failed"
	Cancelled Phase = "Cancelled"
)

// Phases is the closed list of phases, in their order.
var Phases = []string{string(Queued), string(Running), string(Succeeded), string(Failed), string(Cancelled)}

// Valid reports whether the phase is one of the list.
func (p Phase) Valid() bool { return p == Queued || p == Running || p.Final() }

// Final reports whether a build in this phase has ended.
func (p Phase) Final() bool { return p == Succeeded || p == Failed || p == Cancelled }

// Reason says in one CamelCase word why a build is in its phase. The list is closed.
type Reason string

// The reasons that the condition BuildStatus can carry.
const (
	ReasonQueued                 Reason = "Queued"
	ReasonFetchingSource         Reason = "FetchingSource"
	ReasonBuilding               Reason = "Building"
	ReasonPublishing             Reason = "Publishing"
	ReasonSucceeded              Reason = "Succeeded"
	ReasonInvalidBuildSpec       Reason = "InvalidBuildSpec"
	ReasonSourceNotFound         Reason = "SourceNotFound"
	ReasonSourceAuthFailed       Reason = "SourceAuthFailed"
	ReasonRevisionNotFound       Reason = "RevisionNotFound"
	ReasonSourceUnavailable      Reason = "SourceUnavailable"
	ReasonBuilderImagePullFailed Reason = "BuilderImagePullFailed"
	ReasonSecretNotFound         Reason = "SecretNotFound"
	ReasonBuildFailed            Reason = "BuildFailed"
	ReasonBuildOutOfMemory       Reason = "BuildOutOfMemory"
	ReasonArtifactNotFound       Reason = "ArtifactNotFound"
	ReasonArtifactInvalid        Reason = "ArtifactInvalid"
	ReasonRegistryAuthFailed     Reason = "RegistryAuthFailed"
	ReasonRegistryPushFailed     Reason = "RegistryPushFailed"
	ReasonHawkbitPushFailed      Reason = "HawkbitPushFailed"
	ReasonTimedOut               Reason = "TimedOut"
	ReasonCancelled              Reason = "Cancelled"
	ReasonSuperseded             Reason = "Superseded"
	ReasonInternalError          Reason = "InternalError"
)

// reasons is the closed list, with what each may report.
var reasons = map[Reason]struct{ step, rejection bool }{
	ReasonQueued:           {},
	ReasonFetchingSource:   {},
	ReasonBuilding:         {},
	ReasonPublishing:       {},
	ReasonSucceeded:        {},
	ReasonInvalidBuildSpec: {step: true, rejection: true},
	ReasonSourceNotFound:   {step: true},
	ReasonSourceAuthFailed: {step: true},
	ReasonRevisionNotFound: {step: true},
	ReasonSourceUnavailable: {
		step: true,
	},
	ReasonBuilderImagePullFailed: {},
	ReasonSecretNotFound:         {},
	ReasonBuildFailed:            {},
	ReasonBuildOutOfMemory:       {},
	ReasonArtifactNotFound:       {step: true, rejection: true},
	ReasonArtifactInvalid:        {step: true},
	ReasonRegistryAuthFailed:     {step: true},
	ReasonRegistryPushFailed:     {step: true},
	ReasonHawkbitPushFailed:      {step: true},
	ReasonTimedOut:               {},
	ReasonCancelled:              {},
	ReasonSuperseded:             {},
	ReasonInternalError:          {rejection: true},
}

// Valid reports whether the reason is one of the list.
func (r Reason) Valid() bool {
	_, ok := reasons[r]
	return ok
}

// Reasons returns the closed list of reasons, sorted.
func Reasons() []string {
	list := make([]string, 0, len(reasons))
	for r := range reasons {
		list = append(list, string(r))
	}
	slices.Sort(list)
	return list
}

// Rejects reports whether a build can be refused for the reason before it becomes a run.
func (r Reason) Rejects() bool { return reasons[r].rejection }

// StepFailure returns the reason that a fetch or publish step reported, or
// InternalError for a word that such a step cannot mean: what a step says
// passes through files that a build can write to.
func StepFailure(word string) Reason {
	if r := Reason(word); reasons[r].step {
		return r
	}
	return ReasonInternalError
}

// StepError is how a step fails: with a reason of the closed list, and a
// sentence that a person can act on.
type StepError struct {
	Reason  Reason
	Message string
	Err     error
}

// Error returns the message, which already says what the cause was.
func (e *StepError) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }
