// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/drogue-iot/ajour/pkg/build"
)

// failed explains a run that did not succeed.
func failed(r *build.Run, h *head, t tasks) {
	r.Phase = build.Failed
	r.Progress = t.current(h.stages).progress
	switch v1.PipelineRunReason(h.condition.reason) {
	case v1.PipelineRunReasonCancelled,
		v1.PipelineRunReasonCancelledRunningFinally,
		v1.PipelineRunReasonStoppedRunningFinally:
		cancelled(r, h)
		return
	case v1.PipelineRunReasonTimedOut:
		timedOut(r, h)
		return
	default:
	}
	s, tr := t.failed(h.stages)
	if tr == nil {
		r.Reason, r.Message = build.ReasonInternalError, h.condition.message
		return
	}
	r.Progress = max(s.progress, stageFetch.progress)
	if message := secretNotFound(tr.refusal(), build.SecretOf(r.Object.Application)); message != "" {
		r.Reason, r.Message = build.ReasonSecretNotFound, message
		return
	}
	if message := secretNotFound(tr.refusal(), SecretProxy); message != "" {
		r.Reason, r.Message = build.ReasonInternalError, message
		return
	}
	explain(r, h, t, s, tr)
}

// failed returns the stage that failed and its TaskRun; nil if none did. When a step of a
// shared pod fails, Tekton marks those after it as failed, too; when the pod never ran, all
// of them, and only the message may say whose image it was: the stage is the zero one if it
// does not.
func (t tasks) failed(stages []stage) (stage, *task) {
	for _, s := range stages {
		tr, shared := t.of(s)
		if tr == nil || !tr.condition.failed {
			continue
		}
		if !shared {
			return s, tr
		}
		switch v1.TaskRunReason(tr.condition.reason) {
		case v1.TaskRunReasonFailed, v1.TaskRunReasonStepFailed, v1.TaskRunReasonStepOOM, v1.TaskRunReasonPodEvicted:
		default:
			return neverRan(stages, tr), tr
		}
		if st := t.step(s); st != nil && st.terminated && st.exitCode != 0 {
			return s, tr
		}
	}
	return stage{}, nil
}

// neverRan finds the stage for which a pod did not run: the one whose container is refused, or
// that the message names.
func neverRan(stages []stage, tr *task) stage {
	for _, s := range stages {
		if slices.ContainsFunc(tr.steps, func(st step) bool { return st.name == s.step && st.refused != "" }) {
			return s
		}
		if strings.Contains(tr.condition.message, strconv.Quote(s.step)) ||
			strings.Contains(tr.condition.message, strconv.Quote("step-"+s.step)) {
			return s
		}
	}
	// Our own images exist and can be started.
	if tr.condition.reason == reasonCreateContainer || noEntrypoint(tr.condition) {
		return stageBuild
	}
	return stage{}
}

func cancelled(r *build.Run, h *head) {
	r.Phase, r.Reason, r.Message = build.Cancelled, build.ReasonCancelled, "The build was cancelled"
	if h.cancelledBy != "" {
		r.Message += " by " + h.cancelledBy
	}
	if h.cancelled == build.ReasonSuperseded {
		r.Reason, r.Message = build.ReasonSuperseded, "A newer build of the same object was requested"
	}
}

func timedOut(r *build.Run, h *head) {
	r.Reason = build.ReasonTimedOut
	r.Message = fmt.Sprintf("The build did not end within %s: raise build.timeout, or let it do less", h.timeout)
}

// explain gives the reason of the stage that ended a run. The steps fetch and publish leave
// reason and message as results; for the builder, the state of its container is all there is.
func explain(r *build.Run, h *head, t tasks, s stage, tr *task) {
	c := tr.condition
	switch {
	case c.reason == v1.TaskRunReasonTimedOut.String():
		timedOut(r, h)
	case s != stageBuild && t.result(s, "reason") != "":
		r.Reason, r.Message = build.StepFailure(t.result(s, "reason")), t.result(s, "message")
	case s != stageBuild && strings.HasPrefix(c.message, "persistentvolumeclaim "):
		r.Reason, r.Message = build.ReasonArtifactNotFound, c.message
	case s != stageBuild:
		r.Reason, r.Message = build.ReasonInternalError, c.message
	case c.reason == v1.TaskRunReasonPodEvicted.String():
		r.Reason, r.Message = build.ReasonBuildFailed, "The cluster ended the pod of the builder: "+c.message
	case c.reason == v1.TaskRunReasonImagePullFailed.String():
		r.Reason, r.Message = build.ReasonBuilderImagePullFailed, c.message
	case noEntrypoint(c):
		_, cause, _ := strings.Cut(c.message, lookingUp)
		cause, _, _ = strings.Cut(cause, ". Maybe missing or invalid Task")
		r.Reason, r.Message = build.ReasonBuilderImagePullFailed, fmt.Sprintf(
			"The builder image %q cannot be read: %s", h.builder, cause,
		)
	case c.reason == reasonCreateContainer:
		r.Reason, r.Message = build.ReasonBuilderImagePullFailed, "The builder image cannot be started: "+tr.refusal()+
			". Builders run without any privilege, and not as root: give the image a numeric USER"
	default:
		builderFailed(r, t.step(s), c)
	}
}

// lookingUp is in the message of a TaskRun whose pod Tekton could not create because it did
// not find the entrypoint of an image.
const lookingUp = "translating TaskSpec to Pod: "

func noEntrypoint(c condition) bool { return strings.Contains(c.message, lookingUp) }

// reasonCreateContainer is the reason of a TaskRun whose container the kubelet refuses to
// create, such as one that would run as root.
const reasonCreateContainer = "CreateContainerConfigError"

// secretNotFound says which secret variable has no value, "" if that is not what happened. The
// kubelet tells the Secret and the key, on behalf of the first step: all of a pod have the
// variables.
func secretNotFound(refusal, secret string) string {
	remedy := ": ask those who run the installation to add it"
	if secret != SecretProxy {
		remedy += ", or remove it from build.secrets"
	}
	if strings.Contains(refusal, `secret "`+secret+`" not found`) {
		return fmt.Sprintf("There is no Secret %s%s", secret, remedy)
	}
	before, after, found := strings.Cut(refusal, " in Secret ")
	_, name, _ := strings.Cut(after, "/")
	_, key, ok := strings.Cut(before, "couldn't find key ")
	if found && ok && strings.HasPrefix(name, secret) {
		return fmt.Sprintf("The Secret %s has no key %s%s", secret, key, remedy)
	}
	return ""
}

// refusal is why the kubelet did not create a container, "" if it did. Tekton's condition has
// what the kubelet says, or nothing, as it comes.
func (t *task) refusal() string {
	if t.condition.reason != reasonCreateContainer {
		return ""
	}
	for _, s := range t.steps {
		if s.refused != "" {
			return s.refused
		}
	}
	return t.condition.message
}

func builderFailed(r *build.Run, st *step, c condition) {
	switch {
	case st == nil || !st.terminated || st.exitCode == 0:
		r.Reason, r.Message = build.ReasonBuildFailed, c.message
	case st.outOfMem:
		r.Reason, r.Message = build.ReasonBuildOutOfMemory, "The builder ran out of memory"
	default:
		r.Reason, r.Message = build.ReasonBuildFailed, fmt.Sprintf("The builder exited with code %d", st.exitCode)
	}
}
