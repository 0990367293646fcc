// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"

	"github.com/drogue-iot/ajour/pkg/build"
)

// labelPipelineTask is put by Tekton on each TaskRun of a PipelineRun.
const labelPipelineTask = "tekton.dev/pipelineTask"

// stages are the tasks of a pipeline in their order, and what a build is doing
// and how far it came while one of them runs.
var stages = []struct {
	task     string
	reason   build.Reason
	progress float64
}{
	{taskFetch, build.ReasonFetchingSource, 5},
	{taskBuild, build.ReasonBuilding, 20},
	{taskPublish, build.ReasonPublishing, 85},
}

// Observe reads a build from its PipelineRun and the TaskRuns of it, by
// pipeline task. It reports false for a PipelineRun that is not one of ours.
func Observe(pr *v1.PipelineRun, tasks map[string]*v1.TaskRun) (build.Run, bool) {
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
	r.Commit = result(tasks[taskFetch], "commit")
	var d build.Description
	_ = json.Unmarshal([]byte(a[annotationDescription]), &d) // used for messages only
	switch c := pr.Status.GetCondition(apis.ConditionSucceeded); {
	case c == nil || pr.Spec.Status == v1.PipelineRunSpecStatusPending:
		r.Phase, r.Reason = build.Queued, build.ReasonQueued
	case c.IsTrue():
		succeeded(&r, pr, d)
	case c.IsFalse():
		ended(&r, pr, c, tasks, d)
	default:
		r.Phase = build.Running
		r.Reason, r.Progress = stage(tasks)
	}
	r.Message = build.Clean(r.Message)
	return r, true
}

func instant(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

// stage is the last task that was started, the first one if none was.
func stage(tasks map[string]*v1.TaskRun) (build.Reason, float64) {
	current := stages[0]
	for _, s := range stages {
		if tasks[s.task] != nil {
			current = s
		}
	}
	return current.reason, current.progress
}

func succeeded(r *build.Run, pr *v1.PipelineRun, d build.Description) {
	r.Phase, r.Reason, r.Progress = build.Succeeded, build.ReasonSucceeded, 100
	values := map[string]string{}
	for _, res := range pr.Status.Results {
		values[res.Name] = res.Value.StringVal
	}
	size, _ := strconv.ParseInt(values["size"], 10, 64) // a size that is no number shows as 0
	r.Commit = values["commit"]
	r.Artifact = &build.Artifact{
		Reference: values["image-url"], Digest: values["image-digest"], Version: values["version"], Size: size, SHA256: values["checksum"],
	}
	// OCI-4: what is delivered as the version is the tag.
	if tag := d.Tag(); tag != "" && tag != r.Artifact.Version {
		r.Message = fmt.Sprintf("Warning: the update server delivers the tag %q as the version, the firmware was built as %q: "+
			"unless it reports the tag, devices are updated again and again", tag, r.Artifact.Version)
	}
}

// ended explains a run that did not succeed.
func ended(r *build.Run, pr *v1.PipelineRun, c *apis.Condition, tasks map[string]*v1.TaskRun, d build.Description) {
	r.Phase = build.Failed
	_, r.Progress = stage(tasks)
	switch v1.PipelineRunReason(c.Reason) {
	case v1.PipelineRunReasonCancelled, v1.PipelineRunReasonCancelledRunningFinally, v1.PipelineRunReasonStoppedRunningFinally:
		cancelled(r, pr)
		return
	case v1.PipelineRunReasonTimedOut:
		timedOut(r, d)
		return
	default:
	}
	for _, s := range stages {
		if tr := tasks[s.task]; tr != nil && tr.Status.GetCondition(apis.ConditionSucceeded).IsFalse() {
			failed(r, s.task, tr, d)
			return
		}
	}
	r.Reason, r.Message = build.ReasonInternalError, c.Message
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

// failed explains the TaskRun that ended a run. The steps fetch and publish
// leave reason and message as results; for the builder the state of its
// container has to do.
func failed(r *build.Run, task string, tr *v1.TaskRun, d build.Description) {
	c := tr.Status.GetCondition(apis.ConditionSucceeded)
	switch {
	case c.Reason == v1.TaskRunReasonTimedOut.String():
		timedOut(r, d)
	case task != taskBuild && result(tr, "reason") != "":
		r.Reason, r.Message = build.StepFailure(result(tr, "reason")), result(tr, "message")
	case task != taskBuild:
		r.Reason, r.Message = build.ReasonInternalError, c.Message
	case c.Reason == v1.TaskRunReasonImagePullFailed.String():
		r.Reason, r.Message = build.ReasonBuilderImagePullFailed, c.Message
	default:
		builderFailed(r, tr, c)
	}
}

func builderFailed(r *build.Run, tr *v1.TaskRun, c *apis.Condition) {
	r.Reason, r.Message = build.ReasonBuildFailed, c.Message
	for _, s := range tr.Status.Steps {
		t := s.Terminated
		if t == nil || t.ExitCode == 0 {
			continue
		}
		if outOfMemory(t, s.TerminationReason) {
			r.Reason, r.Message = build.ReasonBuildOutOfMemory, "The builder ran out of memory"
			return
		}
		r.Message = fmt.Sprintf("The builder exited with code %d", t.ExitCode)
	}
}

func outOfMemory(t *corev1.ContainerStateTerminated, reason string) bool {
	return t.Reason == "OOMKilled" || reason == "OOMKilled"
}

func result(tr *v1.TaskRun, name string) string {
	if tr == nil {
		return ""
	}
	for _, r := range tr.Status.Results {
		if r.Name == name {
			return r.Value.StringVal
		}
	}
	return ""
}
