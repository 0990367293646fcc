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
)

// PipelineRuns is the part of Tekton's typed client that is used.
type PipelineRuns interface {
	Create(ctx context.Context, pr *v1.PipelineRun, opts metav1.CreateOptions) (*v1.PipelineRun, error)
	Get(ctx context.Context, name string, opts metav1.GetOptions) (*v1.PipelineRun, error)
	List(ctx context.Context, opts metav1.ListOptions) (*v1.PipelineRunList, error)
	Patch(ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string) (*v1.PipelineRun, error)
	Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error
}

// TaskRuns is the part of Tekton's typed client that is used.
type TaskRuns interface {
	List(ctx context.Context, opts metav1.ListOptions) (*v1.TaskRunList, error)
}

// Client manages builds as PipelineRuns of one namespace.
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

// Create makes the run of a request. A run that exists already is the one that
// was asked for, since its name follows from the build's id. The error wraps
// build.ErrRefused when trying again cannot help.
func (c *Client) Create(ctx context.Context, req build.Request) error {
	pr, err := Render(req, c.config)
	if err != nil {
		return err
	}
	_, err = c.runs.Create(ctx, pr, metav1.CreateOptions{})
	switch {
	case err == nil || apierrors.IsAlreadyExists(err):
		return nil
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
		return fmt.Errorf("create run of build %s: %w", req.ID, err) // there will be room later
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsForbidden(err) || apierrors.IsRequestEntityTooLargeError(err):
		return fmt.Errorf("%w: create run of build %s: %w", build.ErrRefused, req.ID, err)
	default:
		return fmt.Errorf("create run of build %s: %w", req.ID, err)
	}
}

// Get returns a build by its id, with a line of the builder's output if that
// failed. It returns build.ErrNotFound if there is none.
func (c *Client) Get(ctx context.Context, id string) (build.Run, error) {
	return c.Find(ctx, build.RunName(id))
}

// Find is like Get, with the name of the run.
func (c *Client) Find(ctx context.Context, name string) (build.Run, error) {
	pr, err := c.runs.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return build.Run{}, fmt.Errorf("run %s: %w", name, build.ErrNotFound)
	}
	if err != nil {
		return build.Run{}, fmt.Errorf("get run %s: %w", name, err)
	}
	tasks, err := c.tasksOf(ctx, labelBuild+"="+pr.Labels[labelBuild])
	if err != nil {
		return build.Run{}, err
	}
	run, ours := Observe(pr, tasks[pr.UID])
	if !ours {
		return build.Run{}, fmt.Errorf("run %s is not ours: %w", name, build.ErrNotFound)
	}
	if run.Reason == build.ReasonBuildFailed {
		if line := c.excerpt(ctx, tasks[pr.UID]); line != "" {
			run.Message = build.Clean(run.Message + ": " + line)
		}
	}
	return run, nil
}

// List returns the builds of a target, all builds for the zero target, in no
// particular order.
func (c *Client) List(ctx context.Context, t build.Target) ([]build.Run, error) {
	selector := labelManagedBy + "=" + managedBy
	if t != (build.Target{}) {
		selector += "," + labelTarget + "=" + t.Hash()
	}
	list, err := c.listRuns(ctx, selector)
	if err != nil {
		return nil, err
	}
	tasks, err := c.tasksOf(ctx, selector) // after the runs: what has ended has all of them
	if err != nil {
		return nil, err
	}
	var runs []build.Run
	for _, pr := range list {
		if run, ours := Observe(pr, tasks[pr.UID]); ours {
			runs = append(runs, run)
		}
	}
	return runs, nil
}

// tasksOf returns the TaskRuns that a selector finds, by the uid of their
// PipelineRun and their pipeline task.
func (c *Client) tasksOf(ctx context.Context, selector string) (map[types.UID]taskRuns, error) {
	list, err := listTasks(ctx, c.tasks, selector)
	if err != nil {
		return nil, err
	}
	return byRun(list), nil
}

func byRun(list []*v1.TaskRun) map[types.UID]taskRuns {
	byRun := map[types.UID]taskRuns{}
	for _, tr := range list {
		owner := metav1.GetControllerOf(tr)
		if owner == nil {
			continue
		}
		if byRun[owner.UID] == nil {
			byRun[owner.UID] = taskRuns{}
		}
		byRun[owner.UID][tr.Labels[labelPipelineTask]] = tr
	}
	return byRun
}

// Cancel ends a build, for the reason Cancelled or Superseded. A build that has
// ended, or is being cancelled already, is left as it is.
func (c *Client) Cancel(ctx context.Context, id string, reason build.Reason, by string) error {
	name := build.RunName(id)
	pr, err := c.runs.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("run %s: %w", name, build.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("get run %s: %w", name, err)
	}
	if pr.IsDone() || pr.IsCancelled() {
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			// Another run of that name is another build: leave it alone.
			"uid":         pr.UID,
			"annotations": map[string]string{annotationCancelled: string(reason), annotationCancelledBy: by},
		},
		"spec": map[string]any{"status": v1.PipelineRunSpecStatusCancelled},
	})
	if err != nil {
		return fmt.Errorf("cancel run %s: %w", name, err)
	}
	if _, err := c.runs.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("cancel run %s: %w", name, err)
	}
	return nil
}

// Delete removes the run of a build, with its pods and its volume claim. It is no error if
// there is none.
func (c *Client) Delete(ctx context.Context, id string) error {
	if err := c.runs.Delete(ctx, build.RunName(id), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete run of build %s: %w", id, err)
	}
	return nil
}
