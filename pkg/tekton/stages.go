// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"strconv"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

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
	// stagePull takes the place of all before the last for what is in a registry already.
	stagePull = stage{"pull-artifact", "pull", build.ReasonPublishing, 85}
)

type stage struct {
	task, step string
	reason     build.Reason
	progress   float64
}

// stagesOf returns the stages of a run.
func stagesOf(pr *v1.PipelineRun) []stage {
	d, p := descriptionOf(pr), publicationOf(pr)
	var stages []stage
	switch {
	case p == nil:
		stages = []stage{stageFetch, stageBuild}
	case p.Claim == "":
		return []stage{stagePull, stageHawkbit}
	case d.Image == "" && d.Controller == "": // somebody broke it
		return []stage{stageOCI}
	}
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

// number is a result that is one; what is none shows as 0.
func (t taskRuns) number(s stage, name string) int64 {
	n, _ := strconv.ParseInt(t.result(s, name), 10, 64)
	return n
}
