// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"

	"github.com/drogue-iot/ajour/pkg/build"
)

// ended explains a run that did not succeed.
func ended(r *build.Run, pr *v1.PipelineRun, c *apis.Condition, tasks taskRuns, d build.Description) {
	r.Phase = build.Failed
	r.Progress = tasks.current(stagesOf(pr)).progress
	switch v1.PipelineRunReason(c.Reason) {
	case v1.PipelineRunReasonCancelled, v1.PipelineRunReasonCancelledRunningFinally, v1.PipelineRunReasonStoppedRunningFinally:
		cancelled(r, pr)
		return
	case v1.PipelineRunReasonTimedOut:
		timedOut(r, d)
		return
	default:
	}
	s, tr := tasks.culprit(stagesOf(pr))
	if tr == nil {
		r.Reason, r.Message = build.ReasonInternalError, c.Message
		return
	}
	r.Progress = max(s.progress, stageFetch.progress)
	failed(r, s, tr, tasks, d)
}

// culprit returns the stage that failed, and its TaskRun; nil if none did. When a
// step of a shared pod fails, Tekton marks those after it as failed, too; when the
// pod never ran, all of them, and only the message may tell whose image it was:
// the stage is the zero one if it does not.
func (t taskRuns) culprit(stages []stage) (stage, *v1.TaskRun) {
	for _, s := range stages {
		tr, shared := t.of(s)
		c := conditionOf(tr)
		if !c.IsFalse() {
			continue
		}
		if !shared {
			return s, tr
		}
		switch v1.TaskRunReason(c.Reason) {
		case v1.TaskRunReasonFailed, v1.TaskRunReasonStepFailed, v1.TaskRunReasonStepOOM, v1.TaskRunReasonPodEvicted:
		default:
			for _, s := range stages {
				if strings.Contains(c.Message, strconv.Quote(s.step)) || strings.Contains(c.Message, strconv.Quote("step-"+s.step)) {
					return s, tr
				}
			}
			// The images of ours are there, and made to be started.
			if c.Reason == reasonCreateContainer || noEntrypoint(c) {
				return stageBuild, tr
			}
			return stage{}, tr
		}
		if st := t.step(s); st != nil && st.Terminated != nil && st.Terminated.ExitCode != 0 {
			return s, tr
		}
	}
	return stage{}, nil
}

func conditionOf(tr *v1.TaskRun) *apis.Condition {
	if tr == nil {
		return nil
	}
	return tr.Status.GetCondition(apis.ConditionSucceeded)
}

func cancelled(r *build.Run, pr *v1.PipelineRun) {
	r.Phase, r.Reason, r.Message = build.Cancelled, build.ReasonCancelled, "The build was cancelled"
	if by := pr.Annotations[annotationCancelledBy]; by != "" {
		r.Message += " by " + by
	}
	if pr.Annotations[annotationCancelled] == string(build.ReasonSuperseded) {
		r.Reason, r.Message = build.ReasonSuperseded, "A newer build of the same object was requested"
	}
}

func timedOut(r *build.Run, d build.Description) {
	r.Reason = build.ReasonTimedOut
	r.Message = fmt.Sprintf("The build did not end within %s: raise build.timeout, or let it do less", time.Duration(d.Timeout))
}

// failed explains the stage that ended a run. The steps fetch and publish leave
// reason and message as results; for the builder the state of its container has
// to do.
func failed(r *build.Run, s stage, tr *v1.TaskRun, tasks taskRuns, d build.Description) {
	c := conditionOf(tr)
	switch {
	case c.Reason == v1.TaskRunReasonTimedOut.String():
		timedOut(r, d)
	case s.task != taskBuild && tasks.result(s, "reason") != "":
		r.Reason, r.Message = build.StepFailure(tasks.result(s, "reason")), tasks.result(s, "message")
	case s.task != taskBuild && strings.HasPrefix(c.Message, "persistentvolumeclaim "):
		r.Reason, r.Message = build.ReasonArtifactNotFound, c.Message
	case s.task != taskBuild:
		r.Reason, r.Message = build.ReasonInternalError, c.Message
	case c.Reason == v1.TaskRunReasonPodEvicted.String():
		r.Reason, r.Message = build.ReasonBuildFailed, "The cluster ended the pod of the builder: "+c.Message
	case c.Reason == v1.TaskRunReasonImagePullFailed.String():
		r.Reason, r.Message = build.ReasonBuilderImagePullFailed, c.Message
	case noEntrypoint(c):
		_, words, _ := strings.Cut(c.Message, lookingUp)
		words, _, _ = strings.Cut(words, ". Maybe missing or invalid Task")
		r.Reason, r.Message = build.ReasonBuilderImagePullFailed, fmt.Sprintf("The builder image %q cannot be read: %s", d.Builder, words)
	case c.Reason == reasonCreateContainer:
		r.Reason, r.Message = build.ReasonBuilderImagePullFailed, "The builder image cannot be started: "+c.Message+
			". Builders run without any privilege, and not as root: give the image a numeric USER"
	default:
		builderFailed(r, tasks.step(s), c)
	}
}

// lookingUp is in the message of a TaskRun whose pod Tekton could not make since
// it did not find the entrypoint of an image.
const lookingUp = "translating TaskSpec to Pod: "

func noEntrypoint(c *apis.Condition) bool { return strings.Contains(c.Message, lookingUp) }

// reasonCreateContainer is the reason of a TaskRun whose container the kubelet
// refuses to make, such as one that would run as root.
const reasonCreateContainer = "CreateContainerConfigError"

func builderFailed(r *build.Run, st *v1.StepState, c *apis.Condition) {
	r.Reason, r.Message = build.ReasonBuildFailed, c.Message
	if st == nil || st.Terminated == nil || st.Terminated.ExitCode == 0 {
		return
	}
	if outOfMemory(st.Terminated, st.TerminationReason) {
		r.Reason, r.Message = build.ReasonBuildOutOfMemory, "The builder ran out of memory"
		return
	}
	r.Message = fmt.Sprintf("The builder exited with code %d", st.Terminated.ExitCode)
}

func outOfMemory(t *corev1.ContainerStateTerminated, reason string) bool {
	return t.Reason == "OOMKilled" || reason == "OOMKilled"
}
