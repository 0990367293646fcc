// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"encoding/json"
	"fmt"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"

	"github.com/drogue-iot/ajour/pkg/build"
)

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
	p := publicationOf(pr)
	if p != nil {
		r.Commit = p.Commit
		if r.Artifact = artifact(tasks, d, p.Artifact); r.Artifact == nil && p.Claim == "" {
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
		// What cannot be published now cannot be later: the description is what it was.
		if r.Reason != build.ReasonArtifactNotFound && r.Reason != build.ReasonArtifactInvalid {
			r.Kept = tasks.kept(pr, r.ID)
		}
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
