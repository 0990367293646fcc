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

// reason is what is known of one.
type reason struct {
	// step says that a fetch or publish step may report it, rejection that a build can be refused for it.
	step, rejection bool
	// meaning says what happened, remedy what to do: both as a person would, without a full stop.
	meaning, remedy string
}

// reasons is the closed list.
var reasons = map[Reason]reason{
	ReasonQueued:         {meaning: "The build waits for its turn"},
	ReasonFetchingSource: {meaning: "The source is fetched"},
	ReasonBuilding:       {meaning: "The builder runs"},
	ReasonPublishing:     {meaning: "The artifact is on its way to its registry"},
	ReasonSucceeded:      {meaning: "The artifact is published"},
	ReasonInvalidBuildSpec: {
		step: true, rejection: true, meaning: "The description is wrong, or its source is none that the installation fetches",
		remedy: "Correct the members that the message names; ask whoever runs the installation which sources it allows",
	},
	ReasonSourceNotFound: {
		step:    true,
		meaning: "There is no such repository, or no such folder in it",
		remedy:  "Check uri and project of the source",
	},
	ReasonSourceAuthFailed: {
		step:    true,
		meaning: "The repository wants credentials, or refused those of the installation; or its ssh host is not known",
		remedy:  "Have the installation given credentials for the host, and its key",
	},
	ReasonRevisionNotFound: {
		step: true, meaning: "There is no such branch, tag or commit", remedy: "Check rev of the source, or push it",
	},
	ReasonSourceUnavailable: {
		step: true, meaning: "The git server did not answer, four times, or its certificate is not trusted",
		remedy: "Try again later, or have its CA added to the ConfigMap trusted-ca",
	},
	ReasonBuilderImagePullFailed: {
		meaning: "The builder image could not be started",
		remedy:  "Check build.image; on a cluster it needs a numeric USER that is not root",
	},
	ReasonSecretNotFound: {
		meaning: "There is no Secret with the value of a variable in build.secrets; the message names it and the key",
		remedy:  "Ask whoever runs the installation to add it",
	},
	ReasonBuildFailed: {
		meaning: "The builder exited with an error, or its pod was ended",
		remedy:  "Read the log, of which the message quotes a line, and correct the source or the arguments",
	},
	ReasonBuildOutOfMemory: {
		meaning: "The builder was killed for its memory",
		remedy:  "Let it use less, as with fewer parallel jobs, or have the limit raised",
	},
	ReasonArtifactNotFound: {
		step: true, rejection: true, meaning: "The builder left no such file", remedy: "Check artifact.path",
	},
	ReasonArtifactInvalid: {
		step: true, meaning: "The artifact is a folder, a link out of the source, empty, too large, or still being written",
		remedy: "Correct the build, or raise artifact.maxSize",
	},
	ReasonRegistryAuthFailed: {
		step: true, meaning: "The OCI registry refused the credentials; its own words are in the message",
		remedy: "Ask whoever runs it; then publish again if the workspace was kept, or build again",
	},
	ReasonRegistryPushFailed: {
		step: true, meaning: "The OCI registry did not take the artifact; its own words are in the message",
		remedy: "Ask whoever runs it; then publish again if the workspace was kept, or build again",
	},
	ReasonHawkbitPushFailed: {
		step:    true,
		meaning: "hawkBit did not take the artifact, as the OCI registry may have; its own words are in the message",
		remedy:  "Ask whoever runs it; then publish again if the workspace was kept, or build again",
	},
	ReasonTimedOut: {
		meaning: "The build took longer than its timeout", remedy: "Raise timeout, or see in the log what takes so long",
	},
	ReasonCancelled:  {meaning: "Somebody ended the build"},
	ReasonSuperseded: {meaning: "A newer build of the object was asked for"},
	ReasonInternalError: {
		rejection: true,
		meaning:   "The installation has a fault",
		remedy:    "Ask whoever runs the installation, with the id of the build",
	},
}

// Meaning says in a sentence what happened, without a full stop.
func (r Reason) Meaning() string { return reasons[r].meaning }

// Remedy says what to do about it, without a full stop; empty if there is nothing to do.
func (r Reason) Remedy() string { return reasons[r].remedy }

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
