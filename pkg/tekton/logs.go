// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"fmt"
	"io"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/drogue-iot/ajour/pkg/build"
)

// maxTail is how much of the end of a log is searched for an error.
const maxTail = 64 << 10

// Logs gives access to what steps print.
type Logs interface {
	// Log returns the output of a step. If follow is set, reading waits for
	// more until the step ends. The output of a step that never ran is empty.
	Log(ctx context.Context, tr *v1.TaskRun, step string, follow bool) (io.ReadCloser, error)
	// Tail returns the end of the output of a step, at least the last 400 lines.
	Tail(ctx context.Context, tr *v1.TaskRun, step string) (io.ReadCloser, error)
}

// Log copies the output of all steps of a build, in their order, each under a heading. If
// follow is set it continues until the build ends.
func (c *Client) Log(ctx context.Context, id string, w io.Writer, follow bool) error {
	pr, err := c.get(ctx, id)
	if err != nil {
		return err
	}
	h, _, ours := headOf(pr)
	if !ours {
		return fmt.Errorf("run %s is not ours: %w", pr.Name, build.ErrNotFound)
	}
	for _, s := range h.stages {
		tr, err := c.await(ctx, pr, s, follow)
		if err != nil || tr == nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "== %s\n", s.name()); err != nil {
			return fmt.Errorf("write log: %w", err)
		}
		if err := c.copyLog(ctx, w, tr, s.step, follow); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) copyLog(ctx context.Context, w io.Writer, tr *v1.TaskRun, step string, follow bool) error {
	r, err := c.logs.Log(ctx, tr, step, follow)
	if err != nil {
		return fmt.Errorf("read log of %s: %w", step, err)
	}
	_, err = io.Copy(w, r)
	if err := r.Close(); err != nil {
		return fmt.Errorf("close log of %s: %w", step, err)
	}
	if err != nil {
		return fmt.Errorf("copy log of %s: %w", step, err)
	}
	return nil
}

// pollEvery is the interval between two reads of a run whose log is followed.
const pollEvery = 500 * time.Millisecond

// await returns the TaskRun of a stage, nil if there is none and none will come.
func (c *Client) await(ctx context.Context, pr *v1.PipelineRun, s stage, follow bool) (found *v1.TaskRun, err error) {
	err = wait.PollUntilContextCancel(ctx, pollEvery, true, func(ctx context.Context) (bool, error) {
		now, err := c.runs.Get(ctx, pr.Name, metav1.GetOptions{})
		if err != nil {
			return false, fmt.Errorf("get run %s: %w", pr.Name, err)
		}
		children, err := c.tasksOf(ctx, pr)
		if err != nil {
			return false, err
		}
		found = carriesOut(pr, children, s)
		return found != nil || !follow || now.IsDone(), nil
	})
	return found, err
}

// carriesOut returns the TaskRun of a stage, nil if there is none.
func carriesOut(pr *v1.PipelineRun, children []*v1.TaskRun, s stage) *v1.TaskRun {
	for _, tr := range children {
		if name := tr.Labels[labelPipelineTask]; metav1.IsControlledBy(tr, pr) && (name == taskPod || name == s.task) {
			return tr
		}
	}
	return nil
}

// excerpt returns the one line of the builder's output that explains its failure best.
func (c *Client) excerpt(ctx context.Context, pr *v1.PipelineRun, children []*v1.TaskRun) string {
	tr := carriesOut(pr, children, stageBuild)
	if tr == nil || c.logs == nil {
		return ""
	}
	r, err := c.logs.Tail(ctx, tr, stageBuild.step)
	if err != nil {
		return "" // the log may be gone with its pod; the exit code has to do
	}
	defer r.Close()
	return Excerpt(tail(r))
}

// tail returns the end of what a reader gives.
func tail(r io.Reader) string {
	var end []byte
	buf := make([]byte, maxTail)
	for {
		n, err := r.Read(buf)
		if end = append(end, buf[:n]...); len(end) > maxTail {
			end = append([]byte{}, end[len(end)-maxTail:]...)
		}
		if err != nil {
			return string(end)
		}
	}
}
