// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Observe reads a build, with its description, from its PipelineRun and the TaskRuns of
// that. It reports false for a PipelineRun that is not ours.
func Observe(pr *v1.PipelineRun, children []*v1.TaskRun) (build.Run, bool) {
	_, r, ours := observeAll(pr, children)
	return r, ours
}

func observeAll(pr *v1.PipelineRun, children []*v1.TaskRun) (*head, build.Run, bool) {
	h, d, ours := headOf(pr)
	if !ours {
		return nil, build.Run{}, false
	}
	list := tasksOf(pr, children)
	r := observe(h, list)
	r.Description = d
	if h.record != nil && !list.complete(h) {
		r.Retained = nil // what a run mounts follows from what Tekton wrote
	}
	return h, r, true
}

// tasksOf reads the TaskRuns of a run.
func tasksOf(pr *v1.PipelineRun, children []*v1.TaskRun) (list tasks) {
	for _, tr := range children {
		if t, ok := taskOf(tr); ok && t.owner == pr.UID {
			list = append(list, t)
		}
	}
	return list
}

// observe derives the state of a build. What was recorded at its end stands in for TaskRuns that are gone, or that
// were not read.
func observe(h *head, t tasks) build.Run {
	if h.record != nil && !t.complete(h) {
		return h.record.run(h.run)
	}
	r := h.run
	r.Archived = h.record != nil
	r.Commit = cmp.Or(t.result(stageFetch, "commit"), r.Commit)
	r.Committed, _ = time.Parse(time.RFC3339, t.result(stageFetch, "commit-time")) // zero for none
	r.Artifact = h.artifact(t, build.Artifact{Version: t.result(stageFetch, "version")})
	if p := h.publication; p != nil {
		r.Commit, r.Publishes = p.Commit, p.Build
		if r.Artifact = h.artifact(t, p.Artifact); r.Artifact == nil && p.Claim == "" {
			a := p.Artifact
			r.Artifact = &a
		}
	}
	if w := t.result(stageOCI, "warning"); w != "" {
		r.Warnings = append(slices.Clone(r.Warnings), build.Clean(w))
	}
	switch {
	case !h.condition.known || h.run.Pending:
		r.Phase, r.Reason = build.Queued, build.ReasonQueued
	case h.condition.ok:
		if r.Artifact == nil { // its TaskRuns are gone
			r.Artifact = &build.Artifact{}
		}
		succeeded(&r, h)
	case h.condition.failed:
		failed(&r, h, t)
		// What cannot be published now cannot be later: the description is what it was.
		if r.Reason != build.ReasonArtifactNotFound && r.Reason != build.ReasonArtifactInvalid {
			r.Retained = t.retained(h)
		}
	default:
		now := t.current(h.stages)
		r.Phase, r.Reason, r.Progress = build.Running, now.reason, now.progress
		r.Message = t.waiting(now)
	}
	if r.Reason == build.ReasonBuildFailed && h.message != "" {
		r.Message = h.message
	}
	r.Message = build.Clean(r.Message)
	r.Steps = t.stepsOf(h.stages, r.Phase.Final())
	r.Lingering = r.Phase.Final() &&
		slices.ContainsFunc(t, func(tr *task) bool { return !tr.condition.ended() })
	return r
}

func succeeded(r *build.Run, h *head) {
	r.Phase, r.Reason, r.Progress = build.Succeeded, build.ReasonSucceeded, 100
	// OCI-4: what is delivered as the version is the tag.
	if h.tag != "" && h.tag != r.Artifact.Version {
		r.Warnings = append(slices.Clone(r.Warnings), fmt.Sprintf(
			"the update server delivers the tag %q as the version, the firmware was built as %q: "+
				"unless it reports the tag, devices are updated again and again",
			h.tag, r.Artifact.Version,
		))
	}
}

// artifact adds what was published so far to what is known; nil for nothing. A build that
// fails at one destination may have succeeded at the other.
func (h *head) artifact(t tasks, a build.Artifact) *build.Artifact {
	var published bool
	for _, s := range []stage{stageOCI, stageHawkbit} {
		checksum := t.result(s, "checksum")
		if checksum == "" {
			continue
		}
		published = true
		a.SHA256, a.Size = checksum, t.number(s, "size")
		if s == stageHawkbit {
			a.Hawkbit = &build.HawkbitArtifact{
				Controller:      h.run.Controller,
				DistributionSet: t.number(s, "distribution-set"),
				Action:          t.number(s, "action"),
			}
		} else {
			a.Reference, a.Digest = t.result(s, "image-url"), t.result(s, "image-digest")
		}
	}
	if !published {
		return nil
	}
	return &a
}

// tasks are the TaskRuns of one PipelineRun.
type tasks []*task

// named returns the TaskRun of a pipeline task, nil if there is none.
func (t tasks) named(name string) *task {
	for _, tr := range t {
		if tr.task == name {
			return tr
		}
	}
	return nil
}

// complete reports whether all TaskRuns of a run are known.
func (t tasks) complete(h *head) bool {
	return len(h.children) > 0 && !slices.ContainsFunc(h.children, func(name string) bool {
		return !slices.ContainsFunc(t, func(tr *task) bool { return tr.name == name })
	})
}

// of returns the TaskRun that carries out a stage, and whether others are in it too.
func (t tasks) of(s stage) (tr *task, shared bool) {
	if tr := t.named(taskPod); tr != nil {
		return tr, true
	}
	return t.named(s.task), false
}

// step returns the state of a stage's step, nil if it is not known yet.
func (t tasks) step(s stage) *step {
	tr, _ := t.of(s)
	if tr == nil {
		return nil
	}
	for i := range tr.steps {
		if tr.steps[i].name == s.step {
			return &tr.steps[i]
		}
	}
	return nil
}

// result returns what a stage's step left, "" if it left nothing. Results of tasks and runs
// are not read: a builder can add to them.
func (t tasks) result(s stage, name string) string {
	if st := t.step(s); st != nil {
		return st.results[name]
	}
	return ""
}

// number is a numeric result; anything else reads as 0.
func (t tasks) number(s stage, name string) int64 {
	n, _ := strconv.ParseInt(t.result(s, name), 10, 64)
	return n
}

// current is the stage that was reached, the first one if none was. Nothing after a step that
// failed is reached: Tekton marks the steps after it as terminated, too.
func (t tasks) current(stages []stage) stage {
	reached := stages[0]
	for _, s := range stages {
		tr, shared := t.of(s)
		if tr == nil {
			break
		}
		reached = s
		if st := t.step(s); shared && (st == nil || !st.terminated || st.exitCode != 0) {
			break
		}
	}
	return reached
}

// waiting says why the pod of a stage has not started, "" if it has: Tekton tries until the
// timeout of the build.
func (t tasks) waiting(s stage) string {
	tr, _ := t.of(s)
	if tr == nil {
		return ""
	}
	switch tr.condition.reason {
	case reasonExceededQuota:
		return "The build waits until the quota of builds has room for it: " + tr.condition.message
	case reasonExceededNodes:
		return "The build waits until a node of the cluster has room for it"
	default:
		return ""
	}
}

// Reasons of a TaskRun whose pod waits for room. The package of Tekton that has them links its
// whole controller.
const (
	reasonExceededQuota = "ExceededResourceQuota"
	reasonExceededNodes = "ExceededNodeResources"
)

// retained returns what the builder of a run left, nil if it left nothing that outlives the
// run. The workspace of a pod is gone with it; a volume claim exists as long as the run that
// made it.
func (t tasks) retained(h *head) *build.Retained {
	if p := h.publication; p != nil {
		// Tekton lets nobody change the spec of a run, other than an annotation.
		if h.claim != "" {
			return &build.Retained{Build: p.Build, Claim: h.claim, Version: p.Artifact.Version}
		}
		return nil
	}
	tr, shared := t.of(stageBuild)
	if shared || tr == nil || !tr.condition.ok || tr.claim == "" {
		return nil
	}
	return &build.Retained{Build: h.run.ID, Claim: tr.claim, Version: t.result(stageFetch, "version")}
}
