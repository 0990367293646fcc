// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"

	"github.com/drogue-iot/ajour/pkg/build"
)

// labelPipelineTask is put by Tekton on each TaskRun of a PipelineRun.
const labelPipelineTask = "tekton.dev/pipelineTask"

// The stages are what a pipeline does one after the other: each a step, in a task of
// its own or in one task with the others (see Layout), and what a build is doing
// and how far it came while it runs.
var (
	stageFetch   = stage{taskFetch, "fetch", build.ReasonFetchingSource, 5}
	stageBuild   = stage{taskBuild, "build", build.ReasonBuilding, 20}
	stageOCI     = stage{taskOCI, "publish", build.ReasonPublishing, 85}
	stageHawkbit = stage{taskHawkbit, "publish-hawkbit", build.ReasonPublishing, 90}
	// stagePull takes the place of all before the last where nothing is compiled.
	stagePull = stage{"pull-artifact", "pull", build.ReasonPublishing, 85}
)

type stage struct {
	task, step string
	reason     build.Reason
	progress   float64
}

// stagesOf returns the stages of a run.
func stagesOf(pr *v1.PipelineRun) []stage {
	if publicationOf(pr) != nil {
		return []stage{stagePull, stageHawkbit}
	}
	d := descriptionOf(pr)
	stages := []stage{stageFetch, stageBuild}
	if d.Image != "" {
		stages = append(stages, stageOCI)
	}
	if d.Controller != "" {
		stages = append(stages, stageHawkbit)
	}
	return stages
}

// taskRuns are the TaskRuns of one PipelineRun, by pipeline task.
type taskRuns map[string]*v1.TaskRun

// of returns the TaskRun that carries out a stage, and whether others are in it too.
func (t taskRuns) of(s stage) (tr *v1.TaskRun, shared bool) {
	if tr := t[taskPod]; tr != nil {
		return tr, true
	}
	return t[s.task], false
}

// step returns the state of a stage's step, nil if it is not known yet.
func (t taskRuns) step(s stage) *v1.StepState {
	tr, _ := t.of(s)
	if tr == nil {
		return nil
	}
	for i := range tr.Status.Steps {
		if tr.Status.Steps[i].Name == s.step {
			return &tr.Status.Steps[i]
		}
	}
	return nil
}

// result returns what a stage's step left, "" if it left nothing. Results of
// tasks and runs are not read: in a shared pod a builder can add to them, by its
// container's termination message, which Tekton's entrypoint only appends to.
func (t taskRuns) result(s stage, name string) string {
	st := t.step(s)
	if st == nil {
		return ""
	}
	for _, r := range st.Results {
		if r.Name == name {
			return r.Value.StringVal
		}
	}
	return ""
}

// current is the stage that was reached, the first one if none was.
func (t taskRuns) current(stages []stage) stage {
	reached := stages[0]
	for _, s := range stages {
		tr, shared := t.of(s)
		if tr == nil {
			break
		}
		reached = s
		if st := t.step(s); shared && (st == nil || st.Terminated == nil) {
			break
		}
	}
	return reached
}

// Observe reads a build from its PipelineRun and the TaskRuns of it, by
// pipeline task. It reports false for a PipelineRun that is not one of ours.
func Observe(pr *v1.PipelineRun, children map[string]*v1.TaskRun) (build.Run, bool) {
	a := pr.Annotations
	requested, err := time.Parse(time.RFC3339Nano, a[annotationRequested])
	r := build.Run{
		ID: pr.Labels[labelBuild], Name: pr.Name, UID: string(pr.UID),
		Target:          build.Target{Application: a[annotationApplication], Device: a[annotationDevice]},
		DescriptionHash: a[annotationHash], Requester: a[annotationRequester], Trigger: build.Trigger(a[annotationTrigger]),
		Requested: requested, Started: instant(pr.Status.StartTime), Completed: instant(pr.Status.CompletionTime),
	}
	// A run whose name does not follow from its id was not made by us.
	if pr.Labels[labelManagedBy] != managedBy || err != nil || r.Target.Validate() != nil || build.RunName(r.ID) != pr.Name {
		return build.Run{}, false
	}
	d := descriptionOf(pr)
	stages, tasks := stagesOf(pr), taskRuns(children)
	r.Description = d
	r.Commit = tasks.result(stageFetch, "commit")
	r.Artifact = artifact(tasks, d, build.Artifact{Version: tasks.result(stageFetch, "version")})
	if p := publicationOf(pr); p != nil {
		r.Commit = p.Commit
		if r.Artifact = artifact(tasks, d, p.Artifact); r.Artifact == nil {
			r.Artifact = &p.Artifact
		}
	}
	switch c := pr.Status.GetCondition(apis.ConditionSucceeded); {
	case c == nil || pr.Spec.Status == v1.PipelineRunSpecStatusPending:
		r.Phase, r.Reason = build.Queued, build.ReasonQueued
	case c.IsTrue():
		if r.Artifact == nil { // its TaskRuns are gone
			r.Artifact = &build.Artifact{}
		}
		succeeded(&r, d)
	case c.IsFalse():
		ended(&r, pr, c, tasks, d)
	default:
		r.Phase = build.Running
		now := tasks.current(stages)
		r.Reason, r.Progress = now.reason, now.progress
	}
	r.Message = build.Clean(r.Message)
	return r, true
}

// descriptionOf reads the description that a run was made of. A run that somebody
// broke is observed as far as it goes.
func descriptionOf(pr *v1.PipelineRun) (d build.Description) {
	_ = json.Unmarshal([]byte(pr.Annotations[annotationDescription]), &d)
	return d
}

// publicationOf returns what a run publishes again, nil for one that compiles.
func publicationOf(pr *v1.PipelineRun) *build.Publication {
	var p build.Publication
	if text := pr.Annotations[annotationPublication]; text == "" || json.Unmarshal([]byte(text), &p) != nil {
		return nil
	}
	return &p
}

func instant(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

func succeeded(r *build.Run, d build.Description) {
	r.Phase, r.Reason, r.Progress = build.Succeeded, build.ReasonSucceeded, 100
	// OCI-4: what is delivered as the version is the tag.
	if tag := d.Tag(); tag != "" && tag != r.Artifact.Version {
		r.Message = fmt.Sprintf("Warning: the update server delivers the tag %q as the version, the firmware was built as %q: "+
			"unless it reports the tag, devices are updated again and again", tag, r.Artifact.Version)
	}
}

// artifact adds what was published so far to what is known, nil for nothing: a build that fails at
// one place may have succeeded at another.
func artifact(tasks taskRuns, d build.Description, a build.Artifact) *build.Artifact {
	var published bool
	for _, s := range []stage{stageOCI, stageHawkbit} {
		checksum := tasks.result(s, "checksum")
		if checksum == "" {
			continue
		}
		published = true
		a.SHA256, a.Size = checksum, tasks.number(s, "size")
		if s == stageHawkbit {
			a.Hawkbit = &build.HawkbitArtifact{Controller: d.Controller, DistributionSet: tasks.number(s, "distribution-set"), Action: tasks.number(s, "action")}
		} else {
			a.Reference, a.Digest = tasks.result(s, "image-url"), tasks.result(s, "image-digest")
		}
	}
	if !published {
		return nil
	}
	return &a
}

// number is a result that is one; what is none shows as 0.
func (t taskRuns) number(s stage, name string) int64 {
	n, _ := strconv.ParseInt(t.result(s, name), 10, 64)
	return n
}

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
		case v1.TaskRunReasonFailed, v1.TaskRunReasonStepFailed, v1.TaskRunReasonStepOOM:
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
	case s.task != taskBuild:
		r.Reason, r.Message = build.ReasonInternalError, c.Message
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
