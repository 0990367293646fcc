// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/internal/trace"
)

const (
	// pruneEvery is the interval between two plans for all objects. Between them, only
	// objects with builds that have not ended are planned for.
	pruneEvery = time.Minute
	// actors bounds how many actions are under way at the same time.
	actors = 4
	// retryAfter is when a plan is made anew of which an action failed.
	retryAfter = time.Second
)

// State is the present state of builds.
type State interface {
	// Find returns the build of a run by its name, or [build.ErrNotFound].
	Find(name string) (build.Run, error)
	// List returns the builds that a query selects.
	List(q build.Query) []build.Run
	// Watch calls f for each change until stop is called.
	Watch(f func(r build.Run, deleted bool)) (stop func())
}

// Actions changes runs. Each returns [build.ErrChanged] if the run is no longer as it was
// when the state was read.
type Actions interface {
	// Start starts a pending run.
	Start(ctx context.Context, r build.Run) error
	// Cancel ends a run for the reason Cancelled or Superseded; by names who asked for it.
	Cancel(ctx context.Context, r build.Run, reason build.Reason, by string) error
	// Stop ends what lingers of a run that has ended.
	Stop(ctx context.Context, r build.Run) error
	// Delete deletes a run that has ended, with all that it left in the cluster.
	Delete(ctx context.Context, r build.Run) error
}

// Leader starts, supersedes and deletes runs. One replica at a time should run it; a second
// one does no harm.
type Leader struct {
	state   State
	actions Actions
	limits  Limits
	clock   func() time.Time
	log     *slog.Logger
}

// NewLeader returns a leader.
func NewLeader(s State, a Actions, l Limits, clock func() time.Time, log *slog.Logger) *Leader {
	return &Leader{s, a, l, clock, log}
}

// Run plans and acts whenever the state changes, until the context ends.
func (l *Leader) Run(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	signal := func() {
		select {
		case changed <- struct{}{}:
		default: // one is due already
		}
	}
	defer l.state.Watch(func(build.Run, bool) { signal() })()
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	scope := build.Query{}
	for {
		runs := l.inScope(scope)
		failed := l.act(ctx, plan(runs, l.limits, l.clock()))
		if failed || slices.ContainsFunc(runs, func(r build.Run) bool { return r.Lingering }) {
			time.AfterFunc(retryAfter, signal)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			scope = build.Query{}
		case <-changed:
			scope = build.Query{Active: true}
		}
	}
}

// inScope returns the builds to plan for: all of them, or all builds of the objects that have
// one which has not ended.
func (l *Leader) inScope(q build.Query) []build.Run {
	runs := l.state.List(q)
	if !q.Active {
		return runs
	}
	seen := map[build.ObjectRef]bool{}
	var all []build.Run
	for _, r := range runs {
		if !seen[r.Object] {
			seen[r.Object] = true
			all = append(all, l.state.List(build.Query{Object: r.Object})...)
		}
	}
	return all
}

// act carries a plan out, and reports whether an action failed.
func (l *Leader) act(ctx context.Context, actions []action) (failed bool) {
	var g errgroup.Group
	g.SetLimit(actors)
	outcomes := make([]error, len(actions))
	for i, a := range actions {
		g.Go(func() error {
			outcomes[i] = l.do(ctx, a)
			return nil
		})
	}
	_ = g.Wait() // outcomes has the errors
	for i, err := range outcomes {
		a := actions[i]
		log := l.log.With("build", a.run.ID, "run", a.run.Name, "object", a.run.Object.String())
		switch {
		case err == nil:
			log.InfoContext(ctx, "run changed", "action", a.verb)
		case errors.Is(err, build.ErrChanged): // the state will say so
			log.DebugContext(ctx, "run is no longer as planned", "action", a.verb, "error", err)
		case ctx.Err() == nil:
			failed = true
			log.WarnContext(ctx, "run cannot be changed", "action", a.verb, "error", err)
		}
	}
	return failed
}

func (l *Leader) do(ctx context.Context, a action) (err error) {
	ctx, end := trace.Start(
		trace.With(ctx, a.run.Trace), trace.Internal, string(a.verb)+" build", "ajour.build", a.run.ID,
	)
	defer func() { end(err) }()
	switch a.verb {
	case start:
		return l.actions.Start(ctx, a.run)
	case supersede:
		return l.actions.Cancel(ctx, a.run, build.ReasonSuperseded, "")
	case stop:
		return l.actions.Stop(ctx, a.run)
	default:
		return l.actions.Delete(ctx, a.run)
	}
}
