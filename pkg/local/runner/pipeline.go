// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/reconciler/pipeline/dag"
	"github.com/tektoncd/pipeline/pkg/reconciler/pipelinerun/resources"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"knative.dev/pkg/apis"
)

// pipeline is one PipelineRun while it is carried out.
type pipeline struct {
	*Runner
	run       *v1.PipelineRun
	spec      *v1.PipelineSpec
	state     resources.PipelineRunState
	workspace string // on this machine, as the volume
	volume    string
	gone      error // why there is no volume
}

func (r *Runner) runPipeline(ctx context.Context, name string) (err error) {
	pr, err := get[v1.PipelineRun](r.store, bucketPipelineRuns, name)
	if err != nil {
		return err
	}
	if pr.IsDone() {
		return nil
	}
	p := &pipeline{Runner: r}
	defer func() { p.leave(ctx, err) }()
	if pr.IsCancelled() {
		return r.finish(pr.Name, errCancelled)
	}
	if err := cause(ctx); err != nil {
		return r.finish(pr.Name, err)
	}
	if err := p.start(ctx, name); err != nil {
		return r.finish(name, err)
	}
	ctx, cancel := withTimeout(ctx, p.run.PipelineTimeout(ctx))
	defer cancel()
	return r.finish(name, p.runTasks(ctx))
}

// start resets what an interrupted attempt left, and marks the run as started.
func (p *pipeline) start(ctx context.Context, name string) (err error) {
	if err := p.store.removeTaskRuns(name); err != nil {
		return err
	}
	if p.workspace, err = p.newWorkspace(name); err != nil {
		return err
	}
	p.run, err = p.store.updateRun(name, func(pr *v1.PipelineRun) error {
		pr.Status = v1.PipelineRunStatus{}
		pr.Status.InitializeConditions(clock.RealClock{}) // also sets the start time
		return nil
	})
	if err != nil {
		return err
	}
	p.emit(p.run)
	err = p.resolve()
	if err != nil {
		return &runError{v1.PipelineRunReasonCouldntGetPipeline.String(), err.Error()}
	}
	p.volume, p.gone = p.findVolume()
	return cause(ctx)
}

// resolve finds the pipeline and substitutes what the run sets.
func (p *pipeline) resolve() error {
	name, spec, err := p.options.Catalog.pipelineOf(p.run)
	if err != nil {
		return err
	}
	if err := resources.ValidateRequiredParametersProvided(&spec.Params, &p.run.Spec.Params); err != nil {
		return err
	}
	if err := resources.ValidateParamTypesMatching(spec, p.run); err != nil {
		return err
	}
	if spec, err = resources.ApplyParameters(spec, p.run); err != nil {
		return err
	}
	spec = resources.ApplyContexts(spec, name, p.run)
	p.spec = resources.ApplyWorkspaces(spec, p.run)
	for i := range p.spec.Tasks {
		task, err := p.options.Catalog.taskOf(&p.spec.Tasks[i])
		if err != nil {
			return err
		}
		p.state = append(p.state, &resources.ResolvedPipelineTask{PipelineTask: &p.spec.Tasks[i], ResolvedTask: task})
	}
	p.run, err = p.store.updateRun(p.run.Name, func(pr *v1.PipelineRun) error {
		pr.Status.PipelineSpec = p.spec
		pr.Status.MarkRunning(
			v1.PipelineRunReasonRunning.String(),
			"Tasks Completed: 0 (Failed: 0, Cancelled 0), Incomplete: %d, Skipped: 0", len(p.state),
		)
		return nil
	})
	if err != nil {
		return err
	}
	p.emit(p.run)
	return nil
}

// runTasks runs the tasks one after the other, in an order that the graph of
// their dependencies allows, until all are done or one failed.
func (p *pipeline) runTasks(ctx context.Context) error {
	graph, err := dag.Build(v1.PipelineTaskList(p.spec.Tasks), v1.PipelineTaskList(p.spec.Tasks).Deps())
	if err != nil {
		return &runError{v1.PipelineRunReasonInvalidGraph.String(), err.Error()}
	}
	var done []string
	for {
		next, err := dag.GetCandidateTasks(graph, done...)
		if err != nil {
			return &runError{v1.PipelineRunReasonInvalidGraph.String(), err.Error()}
		}
		if next.Len() == 0 {
			return p.collectResults()
		}
		i := slices.IndexFunc(
			p.state,
			func(t *resources.ResolvedPipelineTask) bool { return t.PipelineTask.Name == next.List()[0] },
		)
		if err := p.runTask(ctx, p.state[i]); err != nil {
			return err
		}
		done = append(done, p.state[i].PipelineTask.Name)
	}
}

// collectResults copies results of tasks to the run.
func (p *pipeline) collectResults() error {
	status := map[string]string{}
	for _, t := range p.state {
		status["tasks."+t.PipelineTask.Name+".status"] = v1.TaskRunReasonSuccessful.String()
	}
	results, err := resources.ApplyTaskResultsToPipelineResults(p.spec.Results, p.state.GetTaskRunsResults(), nil, status)
	if err != nil {
		return &runError{v1.PipelineRunReasonCouldntGetPipelineResult.String(), err.Error()}
	}
	_, err = p.store.updateRun(p.run.Name, func(pr *v1.PipelineRun) error {
		pr.Status.Results = results
		return nil
	})
	return err
}

// runError is a failure of the run with Tekton's reason.
type runError struct{ reason, message string }

func (e *runError) Error() string { return e.reason + ": " + e.message }

// finish ends a run, by nil as succeeded, else as the error says. When the
// runner itself ends, the run is left for the next one.
func (r *Runner) finish(name string, end error) error {
	if errors.Is(end, errStopped) {
		return end
	}
	pr, err := r.store.updateRun(name, func(pr *v1.PipelineRun) error {
		// A run that was cancelled at the last moment is cancelled: whoever did it was asked so.
		if pr.IsCancelled() && end != nil {
			end = errCancelled
		}
		if pr.Status.StartTime == nil {
			pr.Status.StartTime = &metav1.Time{Time: time.Now()}
		}
		pr.Status.CompletionTime = &metav1.Time{Time: time.Now()}
		mark(pr, end)
		return nil
	})
	if err != nil {
		return err
	}
	r.emit(pr)
	return nil
}

func mark(pr *v1.PipelineRun, end error) {
	done := len(pr.Status.ChildReferences)
	var failure *runError
	switch {
	case end == nil:
		pr.Status.SetCondition(&apis.Condition{
			Type: apis.ConditionSucceeded, Status: "True", Reason: v1.PipelineRunReasonSuccessful.String(),
			Message: fmt.Sprintf("Tasks Completed: %d (Failed: 0, Cancelled 0), Skipped: 0", done),
		})
	case errors.Is(end, errCancelled):
		pr.Status.MarkFailed(v1.PipelineRunReasonCancelled.String(), "PipelineRun %q was cancelled", pr.Name)
	case errors.Is(end, errTimeout):
		pr.Status.MarkFailed(
			v1.PipelineRunReasonTimedOut.String(), "PipelineRun %q failed to finish within %q", pr.Name,
			pr.PipelineTimeout(context.Background()),
		)
	case errors.As(end, &failure):
		pr.Status.MarkFailed(failure.reason, "%s", failure.message)
	default:
		pr.Status.MarkFailed(v1.PipelineRunReasonFailed.String(), "%s", end)
	}
}
