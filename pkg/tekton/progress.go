// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

const (
	// historyOf is how many earlier builds of an object tell how long its steps take.
	historyOf = 5
	// mostOfStep bounds the part of a step that is taken for done while it runs: a step that takes
	// longer than before must not seem to have ended.
	mostOfStep = 0.95
	// mostOfRun bounds the progress of a build that has not succeeded, in percent.
	mostOfRun = 99
	// leastStep is how long a step takes at least: times are whole seconds, and all steps may have taken
	// none.
	leastStep = time.Second
	// leastMove is how far a progress moves at least, in percent: each move is written to the object.
	leastMove = 1
)

// progressOf returns how far a running build is, in percent, and when it will probably end; the zero time
// if there is no earlier build to tell. Each step counts as long as it took in the last builds of the
// object that succeeded. The builder's own count, 0 to 1, goes before the time that it has taken; it is 0
// if there is none.
func progressOf(r *build.Run, history []build.Run, counted float64, now time.Time) (percent float64, end time.Time) {
	took, whole := durations(r.Steps, history)
	if took == nil {
		return max(r.Progress, byStages(r.Steps, counted)), time.Time{}
	}
	var done, total time.Duration
	for i, s := range r.Steps {
		total += took[i]
		if s.State == build.StepSucceeded {
			done += took[i]
		}
		if s.State == build.StepRunning {
			part := min(float64(now.Sub(s.Started))/float64(took[i]), mostOfStep)
			if s.Name == stageBuild.name() && counted > 0 {
				part = min(counted, mostOfStep)
			}
			done += time.Duration(max(part, 0) * float64(took[i]))
		}
	}
	return rounded(min(100*float64(done)/float64(total), mostOfRun)), r.Started.Add(whole)
}

// byStages returns how far a build is by the builder's count alone.
func byStages(steps []build.Step, counted float64) float64 {
	for _, s := range steps {
		if s.State == build.StepRunning && s.Name == stageBuild.name() && counted > 0 {
			from, to := stageBuild.progress, stageOCI.progress
			return rounded(from + min(counted, mostOfStep)*(to-from))
		}
	}
	return 0
}

func rounded(percent float64) float64 { return math.Floor(percent*10) / 10 }

// durations returns how long each step takes, and a whole build: the medians of the last builds that
// succeeded in the same steps; nil if there is none.
func durations(steps []build.Step, history []build.Run) (took []time.Duration, whole time.Duration) {
	history = slices.DeleteFunc(history, func(r build.Run) bool {
		return r.Phase != build.Succeeded || r.Started.IsZero() || r.Completed.IsZero() || !sameSteps(r.Steps, steps)
	})
	if len(history) == 0 || len(steps) == 0 {
		return nil, 0
	}
	slices.SortFunc(history, func(a, b build.Run) int { return build.CompareRuns(&b, &a) })
	history = history[:min(historyOf, len(history))]
	for i := range steps {
		took = append(took, max(leastStep, median(history, func(r build.Run) time.Duration {
			return r.Steps[i].Completed.Sub(r.Steps[i].Started)
		})))
	}
	whole = median(history, func(r build.Run) time.Duration { return r.Completed.Sub(r.Started) })
	return took, max(leastStep, whole)
}

func sameSteps(a, b []build.Step) bool {
	return slices.EqualFunc(a, b, func(a, b build.Step) bool {
		return a.Name == b.Name && !a.Started.IsZero() && !a.Completed.IsZero()
	})
}

func median(runs []build.Run, of func(build.Run) time.Duration) time.Duration {
	list := make([]time.Duration, len(runs))
	for i, r := range runs {
		list[i] = of(r)
	}
	slices.SortFunc(list, cmp.Compare)
	return list[len(list)/2]
}
