// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"cmp"
	"slices"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

// name is what people know a stage by.
func (s stage) name() string { return cmp.Or(s.task, s.action) }

// stepsOf returns the state of each stage of a build, in their order.
//
// All containers of a pod start together, and Tekton has each wait for the one before it: a step
// runs from the end of the one before. After one that failed, and of a pod that was ended, Tekton reports
// all further steps as terminated, too.
func (t tasks) stepsOf(stages []stage, ended bool) []build.Step {
	if ended && len(t) == 0 { // they are gone, or it never had any
		return nil
	}
	steps := make([]build.Step, len(stages))
	var before time.Time // when the step before ended
	open := true         // every step before it has succeeded
	for i, s := range stages {
		step := build.Step{Name: s.name(), State: build.StepWaiting}
		tr, st := t.ofStage(s)
		switch {
		case !open || tr == nil || st != nil && st.why == reasonSkipped:
		case st != nil && st.terminated:
			step.State, step.ExitCode = endOf(tr, st), st.exitCode
			step.Started, step.Completed = latest(st.started, before), st.completed
		case !ended && !tr.started.IsZero():
			step.State, step.Started = build.StepRunning, latest(tr.started, before)
		}
		if open = step.State == build.StepSucceeded; step.State == build.StepWaiting && ended {
			step.State = build.StepSkipped
		}
		before = latest(before, step.Completed)
		steps[i] = step
	}
	return steps
}

// endOf is how a step ended that ran.
func endOf(tr *task, st *step) build.StepState {
	switch {
	case st.exitCode == 0:
		return build.StepSucceeded
	case slices.Contains(interruptions, st.why) || slices.Contains(interruptions, tr.condition.reason):
		return build.StepCancelled
	default:
		return build.StepFailed
	}
}

// ofStage returns the TaskRun that carries out a stage, and the state of its step; nil for what is
// not known yet.
func (t tasks) ofStage(s stage) (*task, *step) {
	tr, _ := t.of(s)
	return tr, t.step(s)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// interruptions are the reasons of steps, and of TaskRuns, that were ended from outside. The packages
// of Tekton that have them link its whole controller.
var interruptions = []string{"Cancelled", "TimeoutExceeded", "TaskRunCancelled", "TaskRunTimeout"}

// reasonSkipped is that of a step whose container ended without its command: one before it failed.
const reasonSkipped = "Skipped"
