// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/drogue-iot/ajour/pkg/build"
)

// How much of the end of a log is searched for an error.
const (
	maxTail      = 64 << 10
	excerptLines = 400
)

// Logs gives access to what steps print.
type Logs interface {
	// Log returns the output of one step, by its name in the TaskRun. If reading follows, it waits
	// for more until the step ends. The output of a step that never ran is empty; one that is gone
	// with its pod is [build.ErrLogGone].
	Log(ctx context.Context, tr *v1.TaskRun, step string, o build.LogOptions) (io.ReadCloser, error)
}

// Log calls f for each step of a build, or for the one that is asked for, in their order, with the
// name of the step and what it printed; nil for what is gone. If reading follows, it goes on until
// the build ends. It returns [build.ErrLogGone] if all of it is gone, before f is called.
func (c *Client) Log(
	ctx context.Context, id string, o build.LogOptions, f func(step string, output io.Reader) error,
) error {
	return c.steps(ctx, id, o, func(s stage, output io.Reader) error { return f(s.name(), output) })
}

func (c *Client) steps(
	ctx context.Context, id string, o build.LogOptions, f func(s stage, output io.Reader) error,
) error {
	pr, err := c.get(ctx, id)
	if err != nil {
		return err
	}
	h, _, ours := headOf(pr)
	if !ours {
		return fmt.Errorf("run %s is not ours: %w", pr.Name, build.ErrNotFound)
	}
	var gone []stage // those before the first one that is there
	there := false
	for _, s := range h.stages {
		if o.Step != "" && o.Step != s.name() {
			continue
		}
		tr, err := c.await(ctx, pr, s, o.Follow)
		if err != nil {
			return err
		}
		if tr == nil {
			break
		}
		output, err := c.logs.Log(ctx, tr, s.step, o)
		switch {
		case errors.Is(err, build.ErrLogGone) && !there:
			gone = append(gone, s)
			continue
		case errors.Is(err, build.ErrLogGone):
			gone = []stage{s}
		case err != nil:
			return fmt.Errorf("read log of %s: %w", s.step, err)
		}
		for _, s := range gone {
			if err := f(s, nil); err != nil {
				return errors.Join(err, closed(output))
			}
		}
		gone = nil
		if output == nil {
			continue
		}
		there = true
		if err := errors.Join(f(s, output), output.Close()); err != nil {
			return fmt.Errorf("copy log of %s: %w", s.step, err)
		}
	}
	if !there && (len(gone) > 0 || h.condition.known && (h.condition.ok || h.condition.failed)) {
		return fmt.Errorf("log of run %s: %w", pr.Name, build.ErrLogGone)
	}
	return nil
}

func closed(c io.Closer) error {
	if c == nil {
		return nil
	}
	return c.Close()
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
	r, err := c.logs.Log(ctx, tr, stageBuild.step, build.LogOptions{Tail: excerptLines})
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
