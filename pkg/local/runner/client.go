// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/uuid"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
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

// Create stores a run, and begins it unless it is pending. As with the API server, a run that Tekton's
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
	if !pr.IsPending() {
		c.r.begin(pr.Name)
	}
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

// Patch applies a JSON patch (RFC 6902) to the metadata and the spec of a run, and begins or
// cancels it if the patch says so. A test in the patch that fails is Invalid.
func (c PipelineRuns) Patch(
	ctx context.Context, name string, pt types.PatchType, data []byte, _ metav1.PatchOptions, _ ...string,
) (*v1.PipelineRun, error) {
	if pt != types.JSONPatchType {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("patch type %s is not supported", pt))
	}
	pr, err := c.r.store.updateRun(name, func(pr *v1.PipelineRun) error { return apply(ctx, pr, data) })
	switch {
	case err != nil:
		return nil, err
	case pr.IsCancelled():
		c.r.cancel(name)
	case !pr.IsPending():
		c.r.begin(name)
	}
	return pr, nil
}

// Delete removes a run that has ended, with all that it left. One that has not is a
// Conflict: it would have to be cancelled first.
func (c PipelineRuns) Delete(_ context.Context, name string, opts metav1.DeleteOptions) error {
	pr, err := get[v1.PipelineRun](c.r.store, bucketPipelineRuns, name)
	if err != nil {
		return err
	}
	if p := opts.Preconditions; p != nil && p.UID != nil && *p.UID != pr.UID {
		return apierrors.NewConflict(resourcePipelineRuns, name, fmt.Errorf("uid is %s, not %s", pr.UID, *p.UID))
	}
	if !pr.IsDone() {
		return apierrors.NewConflict(resourcePipelineRuns, name, errors.New("it has not ended"))
	}
	// The run last: what is left of one that is half removed is removed the next time.
	if err := c.r.removeAll(c.r.runDir(name)); err != nil {
		return err
	}
	return c.r.store.remove(name)
}

func apply(ctx context.Context, pr *v1.PipelineRun, data []byte) error {
	before, err := json.Marshal(pr)
	if err != nil {
		return err
	}
	patch, err := jsonpatch.DecodePatch(data)
	if err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	after, err := patch.Apply(before)
	if err != nil {
		return apierrors.NewGenericServerResponse(
			http.StatusUnprocessableEntity, "patch", resourcePipelineRuns, pr.Name, err.Error(), 0, false,
		)
	}
	next := &v1.PipelineRun{}
	if err := json.Unmarshal(after, next); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	if err := next.Validate(ctx); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	if pr.IsDone() && !equality.Semantic.DeepEqual(next.Spec, pr.Spec) { // as Tekton's webhook
		return apierrors.NewBadRequest("the run has ended")
	}
	pr.Annotations, pr.Labels, pr.Spec = next.Annotations, next.Labels, next.Spec
	pr.Generation++
	return nil
}

// Patch is refused: a TaskRun ends with its PipelineRun here.
func (c TaskRuns) Patch(
	_ context.Context, _ string, _ types.PatchType, _ []byte, _ metav1.PatchOptions, _ ...string,
) (*v1.TaskRun, error) {
	return nil, apierrors.NewMethodNotSupported(v1.Resource("taskruns"), "patch")
}

// List returns the runs that the label selector finds. It reads only those of one
// PipelineRun if the selector names that.
func (c TaskRuns) List(_ context.Context, opts metav1.ListOptions) (*v1.TaskRunList, error) {
	sel, err := labels.Parse(opts.LabelSelector)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	run, ok := sel.RequiresExactMatch(labelPipelineRun)
	if !ok {
		items, err := list[v1.TaskRun](c.r.store, bucketTaskRuns, opts.LabelSelector)
		return &v1.TaskRunList{Items: items}, err
	}
	found, err := c.r.store.taskRuns(run)
	all := &v1.TaskRunList{}
	for _, tr := range found {
		if sel.Matches(labels.Set(tr.Labels)) {
			all.Items = append(all.Items, *tr)
		}
	}
	return all, err
}
