// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/internal/trace"
)

// PipelineRuns is the part of Tekton's typed client that is used.
type PipelineRuns interface {
	Create(ctx context.Context, pr *v1.PipelineRun, opts metav1.CreateOptions) (*v1.PipelineRun, error)
	Get(ctx context.Context, name string, opts metav1.GetOptions) (*v1.PipelineRun, error)
	List(ctx context.Context, opts metav1.ListOptions) (*v1.PipelineRunList, error)
	Patch(
		ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, sub ...string,
	) (*v1.PipelineRun, error)
	Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error
}

// TaskRuns is the part of Tekton's typed client that is used.
type TaskRuns interface {
	List(ctx context.Context, opts metav1.ListOptions) (*v1.TaskRunList, error)
	Patch(
		ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, sub ...string,
	) (*v1.TaskRun, error)
}

// Client creates and changes the PipelineRuns of one namespace, and reads single ones in
// full. What many of them are like is in a [Store].
type Client struct {
	runs   PipelineRuns
	tasks  TaskRuns
	logs   Logs
	config Config
}

// NewClient returns a client.
func NewClient(runs PipelineRuns, tasks TaskRuns, logs Logs, c Config) *Client {
	return &Client{runs: runs, tasks: tasks, logs: logs, config: c}
}

// Create creates the run of a build, which is pending. A run that exists already is the one
// that was asked for, since its name follows from the build's id. The error wraps
// [build.ErrRefused] when a retry cannot help: when the run is not valid, or a policy of
// admission "denied the request". Other ways to be forbidden pass: a quota that is used up, a
// missing right, and an API server that has just started and has not read its roles yet (TEK-34).
func (c *Client) Create(ctx context.Context, s build.Spec) error {
	pr, err := Render(s, c.config)
	if err != nil {
		return err
	}
	if carrier := trace.Carrier(ctx); carrier != "" {
		pr.Annotations[annotationTrace] = carrier
	}
	_, err = c.runs.Create(ctx, pr, metav1.CreateOptions{})
	switch {
	case err == nil || apierrors.IsAlreadyExists(err):
		return nil
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err),
		apierrors.IsForbidden(err) && strings.Contains(err.Error(), "denied"):
		return fmt.Errorf("%w: create run of build %s: %w", build.ErrRefused, s.ID, err)
	default:
		return fmt.Errorf("create run of build %s: %w", s.ID, err)
	}
}

// Get reads a build in full by its id: with its description, and with a line of the
// builder's output if that failed. It returns [build.ErrNotFound] if there is none.
func (c *Client) Get(ctx context.Context, id string) (build.Run, error) {
	pr, children, err := c.read(ctx, id)
	if err != nil {
		return build.Run{}, err
	}
	_, run, err := c.observe(ctx, pr, children)
	return run, err
}

// read reads the run of a build, and its TaskRuns.
func (c *Client) read(ctx context.Context, id string) (*v1.PipelineRun, []*v1.TaskRun, error) {
	pr, err := c.get(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	children, err := c.tasksOf(ctx, pr)
	return pr, children, err
}

// observe derives the state of a build from what was read.
func (c *Client) observe(ctx context.Context, pr *v1.PipelineRun, children []*v1.TaskRun) (*head, build.Run, error) {
	h, run, ours := observeAll(pr, children)
	if !ours {
		return nil, build.Run{}, fmt.Errorf("run %s is not ours: %w", pr.Name, build.ErrNotFound)
	}
	if run.Reason == build.ReasonBuildFailed && !run.Secret && h.message == "" {
		if line := c.excerpt(ctx, pr, children); line != "" {
			run.Message = build.Clean(run.Message + ": " + line)
		}
	}
	return h, run, nil
}

func (c *Client) get(ctx context.Context, id string) (*v1.PipelineRun, error) {
	name := build.RunName(id)
	pr, err := c.runs.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("run %s: %w", name, build.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("get run %s: %w", name, err)
	}
	return pr, nil
}

func (c *Client) tasksOf(ctx context.Context, pr *v1.PipelineRun) ([]*v1.TaskRun, error) {
	list, err := c.tasks.List(ctx, metav1.ListOptions{LabelSelector: labelPipelineRun + "=" + pr.Name})
	if err != nil {
		return nil, fmt.Errorf("list task runs of %s: %w", pr.Name, err)
	}
	return pointers(list.Items), nil
}

// ListObject reads the builds of one object as the API server has them now, without what
// their TaskRuns say. It is for a decision that must not miss the newest one.
func (c *Client) ListObject(ctx context.Context, o build.ObjectRef) ([]build.Run, error) {
	list, err := c.runs.List(ctx, metav1.ListOptions{LabelSelector: ownRuns + "," + labelObject + "=" + o.Hash()})
	if err != nil {
		return nil, fmt.Errorf("list runs of %s: %w", o, err)
	}
	var runs []build.Run
	for i := range list.Items {
		if run, ours := Observe(&list.Items[i], nil); ours {
			runs = append(runs, run)
		}
	}
	return runs, nil
}

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

const pathStatus = "/spec/status"

// Start starts a pending run. It returns [build.ErrChanged] if the run is a different one, was
// started or cancelled already, or is gone.
func (c *Client) Start(ctx context.Context, r build.Run) error {
	return c.patch(ctx, r, "start", []operation{
		{"test", "/metadata/uid", r.UID}, {"test", pathStatus, v1.PipelineRunSpecStatusPending}, {"remove", pathStatus, nil},
	})
}

// Cancel ends a run, for the reason Cancelled or Superseded; by names who asked for it. It
// returns [build.ErrChanged] if the run is a different one, was started in between, has ended or
// is gone.
func (c *Client) Cancel(ctx context.Context, r build.Run, reason build.Reason, by string) error {
	ops := []operation{{"test", "/metadata/uid", r.UID}}
	if r.Pending {
		ops = append(ops, operation{"test", pathStatus, v1.PipelineRunSpecStatusPending})
	}
	ops = append(
		ops, operation{"add", pathStatus, v1.PipelineRunSpecStatusCancelled},
		operation{"add", annotationPath(annotationCancelled), string(reason)},
	)
	if by != "" {
		ops = append(ops, operation{"add", annotationPath(annotationCancelledBy), by})
	}
	return c.patch(ctx, r, "cancel", ops)
}

// annotationPath is the JSON pointer of an annotation (RFC 6901).
func annotationPath(name string) string {
	return "/metadata/annotations/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func (c *Client) patch(ctx context.Context, r build.Run, act string, ops []operation) error {
	data, err := json.Marshal(ops)
	if err != nil {
		return fmt.Errorf("%s run %s: %w", act, r.Name, err)
	}
	_, err = c.runs.Patch(ctx, r.Name, types.JSONPatchType, data, metav1.PatchOptions{})
	return changed(act, r, err)
}

// Stop ends the TaskRuns of a run that has ended itself. One that ends in between is left as
// it is.
func (c *Client) Stop(ctx context.Context, r build.Run) error {
	list, err := c.tasks.List(ctx, metav1.ListOptions{LabelSelector: labelPipelineRun + "=" + r.Name})
	if err != nil {
		return fmt.Errorf("list task runs of %s: %w", r.Name, err)
	}
	for i := range list.Items {
		tr := &list.Items[i]
		if owner := metav1.GetControllerOf(tr); tr.IsDone() || owner == nil || string(owner.UID) != r.UID {
			continue
		}
		data, err := json.Marshal([]operation{
			{"test", "/metadata/uid", tr.UID}, {"add", pathStatus, v1.TaskRunSpecStatusCancelled},
		})
		if err != nil {
			return fmt.Errorf("stop task run %s: %w", tr.Name, err)
		}
		_, err = c.tasks.Patch(ctx, tr.Name, types.JSONPatchType, data, metav1.PatchOptions{})
		if err := changed("stop", r, err); err != nil {
			return err
		}
	}
	return nil
}

// Delete deletes the run of a build that has ended, with its pods and its volume claim. It
// returns [build.ErrChanged] if the run is a different one or is gone.
func (c *Client) Delete(ctx context.Context, r build.Run) error {
	uid, background := types.UID(r.UID), metav1.DeletePropagationBackground
	err := c.runs.Delete(
		ctx, r.Name,
		metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &background},
	)
	return changed("delete", r, err)
}

// changed tells a precondition that did not hold from other failures. The API server answers
// a failed test of a JSON patch by Invalid, and so does Tekton's webhook a change of a run
// that has ended.
func changed(act string, r build.Run, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err):
		return fmt.Errorf("%s run %s: %w: %w", act, r.Name, build.ErrChanged, err)
	default:
		return fmt.Errorf("%s run %s: %w", act, r.Name, err)
	}
}

// Retains reports whether the workspace of a run that has ended holds a firmware that was
// published nowhere.
func Retains(r build.Run) bool {
	return r.Retained != nil && (r.Artifact == nil || r.Artifact.Digest == "")
}
