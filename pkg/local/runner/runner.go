// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Options configure a [Runner].
type Options struct {
	// Dir holds the state: the store of runs, their logs, and the workspaces of
	// those that run.
	Dir string
	// Catalog holds the Pipelines and Tasks.
	Catalog *Catalog
	// Steps maps the images of our own steps to the command that they are.
	Steps map[string][]string
	// StepEnv is the environment of those steps, "NAME=VALUE".
	StepEnv []string
	// Volumes are the folders of this machine that stand for Secrets and ConfigMaps, by
	// their names. One that is not there is empty.
	Volumes map[string]string
	// Builders maps builder images, with or without a tag, to a program of this
	// machine that stands for their entrypoint.
	Builders map[string]string
	// BuilderEnv is added to the environment of mapped builders, "NAME=VALUE".
	BuilderEnv []string
	// Engine is podman or docker, the path of the program; empty for none.
	Engine string
	// Parallel is how many runs are carried out at the same time, 1 if zero.
	Parallel int
	// Observe reads builds from runs, and State is asked of each change of one.
	Observe Observe
	State   State
	// Retain reports whether the workspace of a build that has ended may be needed by a run
	// that names its volume claim. The newest few are retained; none if it is nil.
	Retain func(build.Run) bool
	// Send hands an event to the broker. Events are not sent if it is nil.
	Send func(context.Context, cloudevents.Event) error
	Log  *slog.Logger
}

// Causes of the end of a run's context.
var (
	errCancelled = errors.New("cancelled")
	errTimeout   = errors.New("timed out")
	errStopped   = errors.New("runner ends")
)

// Runner keeps runs and carries them out. Use it after Open, run it with Run.
type Runner struct {
	options Options
	store   *store
	slots   chan struct{}
	stopped chan struct{}
	sending sync.WaitGroup
	// removing is held by the one who removes workspaces.
	removing sync.Mutex

	mu      sync.Mutex
	running context.Context //nolint:containedctx // the life of Run, which runs are part of
	active  map[string]context.CancelCauseFunc
	wg      sync.WaitGroup
}

// Open opens the runner whose state is in o.Dir.
func Open(o Options) (*Runner, error) {
	if err := os.MkdirAll(filepath.Join(o.Dir, "runs"), 0o700); err != nil {
		return nil, fmt.Errorf("make folder of runs: %w", err)
	}
	s, err := openStore(filepath.Join(o.Dir, "runs.db"), o.Observe, o.State)
	if err != nil {
		return nil, err
	}
	return &Runner{
		options: o, store: s, slots: make(chan struct{}, max(o.Parallel, 1)), stopped: make(chan struct{}),
		active: map[string]context.CancelCauseFunc{},
	}, nil
}

// Close closes the store. Run must have returned.
func (r *Runner) Close() error { return r.store.db.Close() }

// Run carries runs out until the context ends. At first it takes up those that a former
// process left. It returns when no step runs any more.
func (r *Runner) Run(ctx context.Context) error {
	// From here on new runs are begun at once, so that none is missed by both.
	r.mu.Lock()
	r.running = ctx
	r.mu.Unlock()
	runs, err := r.store.builds()
	if err != nil {
		return err
	}
	for _, b := range runs {
		if b.Active() && (!b.Pending || b.Cancelling) {
			r.begin(b.Name)
		}
	}
	r.removeUnused(ctx) // a former process may have ended before it did
	<-ctx.Done()
	r.mu.Lock()
	r.running = nil
	r.mu.Unlock()
	close(r.stopped)
	r.wg.Wait()
	r.sending.Wait()
	return nil
}

// begin carries a run out, if the runner runs. A run that was begun before is
// not begun twice.
func (r *Runner) begin(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running == nil || r.running.Err() != nil || r.active[name] != nil {
		return
	}
	ctx, cancel := context.WithCancelCause(r.running)
	r.active[name] = cancel
	r.wg.Go(func() {
		defer func() {
			r.mu.Lock()
			delete(r.active, name)
			r.mu.Unlock()
			cancel(nil)
		}()
		r.carryOut(ctx, name)
	})
}

// cancel ends a run. One that is not being carried out is begun, and ends at once.
func (r *Runner) cancel(name string) {
	r.mu.Lock()
	cancel := r.active[name]
	r.mu.Unlock()
	if cancel != nil {
		cancel(errCancelled)
		return
	}
	r.begin(name)
}

// carryOut waits for its turn, unless the run is cancelled already, and runs the pipeline.
// When the runner ends in between, the run stays as it is and is resumed later.
func (r *Runner) carryOut(ctx context.Context, name string) {
	if pr, err := get[v1.PipelineRun](r.store, bucketPipelineRuns, name); err != nil || !pr.IsCancelled() {
		select {
		case <-ctx.Done():
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		}
	}
	err := r.runPipeline(ctx, name)
	if err != nil && !errors.Is(err, errStopped) {
		r.options.Log.ErrorContext(ctx, "run cannot be carried out", "run", name, "error", err)
	}
}

// cause says why a context ended: by cancel, by timeout, or with the runner.
func cause(ctx context.Context) error {
	switch err := context.Cause(ctx); {
	case err == nil:
		return nil
	case errors.Is(err, errCancelled), errors.Is(err, errTimeout):
		return err
	default:
		return errStopped
	}
}

// runDir is the folder of a run. Its name is a hash, never a user's text.
func (r *Runner) runDir(name string) string { return filepath.Join(r.options.Dir, "runs", name) }

// withTimeout bounds a context by a run's own timeout.
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, errTimeout)
}
