// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/reconciler/pipelinerun/resources"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/kmeta"
)

// Labels that Tekton puts on a TaskRun.
const (
	labelPipeline       = "tekton.dev/pipeline"
	labelPipelineRun    = "tekton.dev/pipelineRun"
	labelPipelineRunUID = "tekton.dev/pipelineRunUID"
	labelPipelineTask   = "tekton.dev/pipelineTask"
	labelTask           = "tekton.dev/task"
	labelMemberOf       = "tekton.dev/memberOf"
)

// taskError is a failure of a TaskRun with Tekton's reason.
type taskError struct{ reason, message string }

func (e *taskError) Error() string { return e.message }

// runTask carries one task out. It returns an error if that ends the run.
func (p *pipeline) runTask(ctx context.Context, t *resources.ResolvedPipelineTask) error {
	refs, _, err := resources.ResolveResultRef(p.state, t)
	if err != nil {
		return &runError{v1.PipelineRunReasonInvalidTaskResultReference.String(), err.Error()}
	}
	resources.ApplyTaskResults(resources.PipelineRunState{t}, refs)
	tr := p.newTaskRun(t)
	if err := create(p.store, bucketTaskRuns, tr); err != nil {
		return err
	}
	p.run, err = p.store.updateRun(p.run.Name, func(pr *v1.PipelineRun) error {
		pr.Status.ChildReferences = append(pr.Status.ChildReferences, v1.ChildStatusReference{
			TypeMeta: runtime.TypeMeta{
				APIVersion: "tekton.dev/v1",
				Kind:       "TaskRun",
			},
			Name:             tr.Name,
			PipelineTaskName: t.PipelineTask.Name,
		})
		return nil
	})
	if err != nil {
		return err
	}
	tr, end := p.carryOutTask(ctx, tr, t)
	t.TaskRunNames, t.TaskRuns = []string{tr.Name}, []*v1.TaskRun{tr}
	return end
}

func (p *pipeline) newTaskRun(t *resources.ResolvedPipelineTask) *v1.TaskRun {
	own := p.run.GetTaskRunSpec(t.PipelineTask.Name)
	tr := &v1.TaskRun{
		ObjectMeta: metav1.ObjectMeta{
			Name: kmeta.ChildName(
				p.run.Name,
				"-"+t.PipelineTask.Name,
			),
			Namespace: p.run.Namespace,
			UID:       types.UID(uuid.NewString()),
			CreationTimestamp: metav1.NewTime(
				time.Now(),
			),
			Generation:      1,
			Labels:          maps.Clone(p.run.Labels),
			Annotations:     maps.Clone(p.run.Annotations),
			OwnerReferences: []metav1.OwnerReference{*kmeta.NewControllerRef(p.run)},
		},
		Spec: v1.TaskRunSpec{
			Params:             t.PipelineTask.Params,
			TaskRef:            t.PipelineTask.TaskRef,
			TaskSpec:           embeddedTask(t.PipelineTask),
			ServiceAccountName: own.ServiceAccountName,
			PodTemplate:        own.PodTemplate,
			Timeout:            &metav1.Duration{Duration: p.run.PipelineTimeout(context.Background())},
		},
	}
	for _, w := range t.PipelineTask.Workspaces {
		i := slices.IndexFunc(p.run.Spec.Workspaces, func(b v1.WorkspaceBinding) bool { return b.Name == w.Workspace })
		if i < 0 {
			continue
		}
		b := p.run.Spec.Workspaces[i].DeepCopy()
		b.Name = w.Name
		if b.VolumeClaimTemplate != nil {
			b.VolumeClaimTemplate, b.PersistentVolumeClaim = nil, &corev1.PersistentVolumeClaimVolumeSource{
				ClaimName: claimOf(p.run.Name),
			}
		}
		tr.Spec.Workspaces = append(tr.Spec.Workspaces, *b)
	}
	for name, value := range map[string]string{
		labelPipeline: pipelineName(p.run), labelPipelineRun: p.run.Name, labelPipelineRunUID: string(p.run.UID),
		labelPipelineTask: t.PipelineTask.Name, labelTask: t.ResolvedTask.TaskName, labelMemberOf: v1.PipelineTasks,
	} {
		if value != "" {
			metav1.SetMetaDataLabel(&tr.ObjectMeta, name, value)
		}
	}
	tr.SetDefaults(context.Background())
	return tr
}

// carryOutTask runs the steps of a TaskRun and records how it ended.
func (p *pipeline) carryOutTask(
	ctx context.Context, tr *v1.TaskRun, t *resources.ResolvedPipelineTask,
) (*v1.TaskRun, error) {
	started, err := p.updateTask(tr, func(s *v1.TaskRunStatus) {
		s.InitializeConditions() // also sets the start time
	})
	if err != nil {
		return tr, err
	}
	if started, err = p.updateTask(started, func(s *v1.TaskRunStatus) {
		s.SetCondition(&apis.Condition{
			Type: apis.ConditionSucceeded, Status: corev1.ConditionUnknown, Reason: v1.TaskRunReasonRunning.String(),
			Message: "Not all Steps in the Task have finished executing",
		})
	}); err != nil {
		return started, err
	}
	var steps []v1.StepState
	dirs, end := p.taskDirs(t.PipelineTask.Name)
	if end == nil {
		steps, end = p.runSteps(ctx, started, t, dirs)
	}
	if errors.Is(end, errStopped) {
		return started, end
	}
	ended, err := p.updateTask(started, func(s *v1.TaskRunStatus) {
		s.Steps, s.Results = steps, taskResults(t.ResolvedTask.TaskSpec.Results, steps)
		s.CompletionTime = &metav1.Time{Time: time.Now()}
		markTask(s, started.Name, end)
	})
	if err != nil {
		return started, err
	}
	return ended, asRunError(ended.Name, end)
}

// updateTask changes the status of a TaskRun and sends the event of its state.
func (p *pipeline) updateTask(tr *v1.TaskRun, change func(*v1.TaskRunStatus)) (*v1.TaskRun, error) {
	next, err := update(p.store, bucketTaskRuns, p.run.Name, tr.Name, func(tr *v1.TaskRun) error {
		change(&tr.Status)
		return nil
	})
	if err != nil {
		return tr, err
	}
	p.emit(next)
	return next, nil
}

func markTask(s *v1.TaskRunStatus, name string, end error) {
	c := &apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionFalse}
	var failure *taskError
	switch {
	case end == nil:
		c.Status, c.Reason = corev1.ConditionTrue, v1.TaskRunReasonSuccessful.String()
		c.Message = "All Steps have completed executing"
	case errors.Is(end, errCancelled):
		c.Reason, c.Message = v1.TaskRunReasonCancelled.String(), fmt.Sprintf("TaskRun %q was cancelled", name)
	case errors.Is(end, errTimeout):
		c.Reason, c.Message = v1.TaskRunReasonTimedOut.String(), fmt.Sprintf(
			"TaskRun %q failed to finish within its timeout",
			name,
		)
	case errors.As(end, &failure):
		c.Reason, c.Message = failure.reason, failure.message
	default:
		c.Reason, c.Message = v1.TaskRunReasonFailed.String(), end.Error()
	}
	s.SetCondition(c)
}

// asRunError turns the end of a task into the end of its run.
func asRunError(name string, end error) error {
	if end == nil || errors.Is(end, errCancelled) || errors.Is(end, errTimeout) {
		return end
	}
	return &runError{v1.PipelineRunReasonFailed.String(), fmt.Sprintf("TaskRun %q failed: %s", name, end)}
}

// taskDirs are the folders of one task of one attempt.
type taskDirs struct {
	workspace, results, home, tmp, logs string
}

func (p *pipeline) taskDirs(task string) (taskDirs, error) {
	base := filepath.Join(p.workspace, "tasks", task)
	if p.gone != nil {
		return taskDirs{}, p.gone
	}
	d := taskDirs{
		workspace: p.volume,
		results:   filepath.Join(base, "results"),
		home: filepath.Join(
			base,
			"home",
		),
		tmp:  filepath.Join(base, "tmp"),
		logs: filepath.Join(p.runDir(p.run.Name), "logs", task),
	}
	for _, dir := range []string{d.workspace, d.results, d.home, d.tmp, d.logs} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return d, fmt.Errorf("make folders of task: %w", err)
		}
	}
	return d, nil
}
