// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

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

// StepFailure returns the reason that a fetch or publish step reported, or
// InternalError for a word that such a step cannot mean: what a step says
// passes through places that a build can write to.
func StepFailure(word string) Reason {
	switch r := Reason(word); r {
	case ReasonSourceNotFound, ReasonSourceAuthFailed, ReasonRevisionNotFound, ReasonSourceUnavailable, ReasonInvalidBuildSpec,
		ReasonArtifactNotFound, ReasonArtifactInvalid,
		ReasonRegistryAuthFailed, ReasonRegistryPushFailed, ReasonHawkbitPushFailed:
		return r
	default:
		return ReasonInternalError
	}
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
