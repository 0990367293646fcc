// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/uuid"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// PipelineRuns has the part of Tekton's typed client that the services use.
type PipelineRuns struct{ r *Runner }

// TaskRuns has the part of Tekton's typed client that the services use.
type TaskRuns struct{ r *Runner }

// PipelineRuns returns the client of PipelineRuns.
func (r *Runner) PipelineRuns() PipelineRuns { return PipelineRuns{r} }

// TaskRuns returns the client of TaskRuns.
func (r *Runner) TaskRuns() TaskRuns { return TaskRuns{r} }

// Create stores a run and begins it. As with the API server, a run that Tekton's
// validation refuses is Invalid, and one of a name that is taken AlreadyExists.
func (c PipelineRuns) Create(ctx context.Context, pr *v1.PipelineRun, _ metav1.CreateOptions) (*v1.PipelineRun, error) {
	pr = pr.DeepCopy()
	pr.SetDefaults(ctx)
	if err := pr.Validate(ctx); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	pr.UID = types.UID(uuid.NewString())
	pr.CreationTimestamp = metav1.NewTime(time.Now().Truncate(time.Second))
	pr.Generation = 1
	pr.Status = v1.PipelineRunStatus{}
	if err := create(c.r.store, bucketPipelineRuns, pr); err != nil {
		return nil, err
	}
	c.r.emit(pr)
	c.r.begin(pr.Name)
	return pr, nil
}

// Get returns a run.
func (c PipelineRuns) Get(_ context.Context, name string, _ metav1.GetOptions) (*v1.PipelineRun, error) {
	return get[v1.PipelineRun](c.r.store, bucketPipelineRuns, name)
}

// List returns the runs that the label selector finds.
func (c PipelineRuns) List(_ context.Context, opts metav1.ListOptions) (*v1.PipelineRunList, error) {
	items, err := list[v1.PipelineRun](c.r.store, bucketPipelineRuns, opts.LabelSelector)
	return &v1.PipelineRunList{Items: items}, err
}

// Patch applies a JSON merge patch to the metadata and the spec of a run. A uid
// in the patch that is not the run's is a Conflict.
func (c PipelineRuns) Patch(
	ctx context.Context, name string, pt types.PatchType, data []byte, _ metav1.PatchOptions, _ ...string,
) (*v1.PipelineRun, error) {
	if pt != types.MergePatchType {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("patch type %s is not supported", pt))
	}
	pr, err := update(c.r.store, bucketPipelineRuns, name, func(pr *v1.PipelineRun) error { return merge(ctx, pr, data) })
	if err == nil && pr.IsCancelled() {
		c.r.cancel(name)
	}
	return pr, err
}

// Delete removes a run that has ended, with all that it left. One that has not is a
// Conflict: it would have to be cancelled first.
func (c PipelineRuns) Delete(_ context.Context, name string, _ metav1.DeleteOptions) error {
	pr, err := get[v1.PipelineRun](c.r.store, bucketPipelineRuns, name)
	if err != nil {
		return err
	}
	if !pr.IsDone() {
		return apierrors.NewConflict(resourcePipelineRuns, name, errors.New("it has not ended"))
	}
	// The run last: what is left of one that is half removed is removed the next time.
	if err := errors.Join(removeAll(c.r.runDir(name)), c.r.store.removeTaskRuns(name)); err != nil {
		return err
	}
	return c.r.store.remove(bucketPipelineRuns, name)
}

func merge(ctx context.Context, pr *v1.PipelineRun, patch []byte) error {
	before, err := json.Marshal(pr)
	if err != nil {
		return err
	}
	after, err := jsonpatch.MergePatch(before, patch)
	if err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	next := &v1.PipelineRun{}
	if err := json.Unmarshal(after, next); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	if next.UID != pr.UID {
		return apierrors.NewConflict(resourcePipelineRuns, pr.Name, fmt.Errorf("uid is %s, not %s", pr.UID, next.UID))
	}
	if err := next.Validate(ctx); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	pr.Annotations, pr.Labels, pr.Spec = next.Annotations, next.Labels, next.Spec
	pr.Generation++
	return nil
}

// List returns the runs that the label selector finds.
func (c TaskRuns) List(_ context.Context, opts metav1.ListOptions) (*v1.TaskRunList, error) {
	items, err := list[v1.TaskRun](c.r.store, bucketTaskRuns, opts.LabelSelector)
	return &v1.TaskRunList{Items: items}, err
}
