// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/pkg/build"
)

const (
	// atATime is how many builds are archived at the same time.
	atATime = 4
	// batch is how many builds are taken at once, those that ended last at first.
	batch = 32
	// A build that could not be archived is tried once more after some time, which grows.
	firstArchiveRetry = 10 * time.Second
	lastArchiveRetry  = 10 * time.Minute
)

// Archiver archives of builds that have ended what is gone with their pods: the line of the output that
// explains a failure, as an annotation of the run, and what their steps printed. It also records the state of
// the build on the run. It is for the leader alone.
type Archiver struct {
	state  *Store
	client *Client
	save   func(ctx context.Context, r build.Run) (build.Log, error)
	log    *slog.Logger
}

// NewArchiver returns an archiver. The function save archives what the steps of a build printed, and returns
// how much that is; nothing is archived of that if it is nil.
func NewArchiver(
	state *Store,
	c *Client,
	save func(ctx context.Context, r build.Run) (build.Log, error),
	log *slog.Logger,
) *Archiver {
	return &Archiver{state, c, save, log}
}

// Run archives builds as they end until the context ends, those that have ended before at first.
func (a *Archiver) Run(ctx context.Context) error {
	b := &backlog{waiting: map[string]time.Time{}, failures: map[string]int{}, more: make(chan struct{}, 1)}
	defer a.state.Watch(func(r build.Run, deleted bool) {
		if !deleted {
			b.add(r)
		}
	})()
	for _, r := range a.state.List(build.Query{}) {
		b.add(r)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.more:
		}
		var g errgroup.Group
		g.SetLimit(atATime)
		for _, name := range b.take() {
			run, err := a.state.Find(name)
			if err != nil || run.Archived { // it was deleted, or archived by an earlier leader
				continue
			}
			g.Go(func() error {
				err := a.archive(ctx, run)
				if wait := b.done(name, err); err != nil && ctx.Err() == nil {
					a.log.WarnContext(
						ctx, "what a build printed is archived later", "build", run.ID, "wait", wait.String(), "error", err,
					)
					time.AfterFunc(wait, func() { b.add(run) })
				}
				return nil
			})
		}
		_ = g.Wait() // none of them fails
	}
}

// backlog has the builds that are not archived yet.
type backlog struct {
	mu       sync.Mutex
	waiting  map[string]time.Time // when they ended, by the names of runs
	failures map[string]int
	more     chan struct{} // has a value when some wait
}

func (b *backlog) add(r build.Run) {
	if !r.Phase.Final() || r.Lingering || r.Archived || r.Name == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting[r.Name] = r.Completed
	b.signal()
}

func (b *backlog) signal() {
	select {
	case b.more <- struct{}{}:
	default:
	}
}

// take returns some runs, of those that ended last.
func (b *backlog) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	names := slices.SortedFunc(maps.Keys(b.waiting), func(x, y string) int { return b.waiting[y].Compare(b.waiting[x]) })
	names = names[:min(batch, len(names))]
	for _, name := range names {
		delete(b.waiting, name)
	}
	if len(b.waiting) > 0 {
		b.signal()
	}
	return names
}

// done notes how a run went. It returns after what time one that failed is tried once more.
func (b *backlog) done(name string, err error) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		delete(b.failures, name)
		return 0
	}
	wait := min(firstArchiveRetry<<min(b.failures[name], 10), lastArchiveRetry)
	b.failures[name]++
	return wait
}

// archive archives one build. The annotations come last: a build that has them is complete. One of an earlier
// version has all but the record, and gets that.
func (a *Archiver) archive(ctx context.Context, run build.Run) error {
	pr, children, err := a.client.read(ctx, run.ID)
	if errors.Is(err, build.ErrNotFound) || err == nil && string(pr.UID) != run.UID {
		return nil
	}
	if err != nil {
		return err
	}
	h, state, err := a.client.observe(ctx, pr, children)
	if err != nil {
		return err
	}
	if state.Lingering {
		return errLingers
	}
	if !tasksOf(pr, children).complete(h) && len(h.children) > 0 {
		state = run // as it was seen before its TaskRuns were deleted
	}
	ops := []operation{{"test", "/metadata/uid", state.UID}}
	if h.message == "" {
		more, err := a.output(ctx, state)
		if err != nil {
			return err
		}
		ops = append(ops, more...)
	}
	text, err := recordFor(state, h.onePod)
	if err != nil {
		return err
	}
	ops = append(ops, operation{"add", annotationPath(annotationState), text})
	err = a.client.patch(ctx, state, "archive", ops)
	if !errors.Is(err, build.ErrChanged) {
		return err
	}
	// The API server answers the same if the run was replaced, and if a policy of admission denies the change.
	now, failed := a.client.get(ctx, run.ID)
	if errors.Is(failed, build.ErrNotFound) || failed == nil && string(now.UID) != run.UID {
		return nil
	}
	return errors.Join(err, failed)
}

// output archives what the steps of a build printed, and returns the operations that note it and the message of the
// build on the run.
func (a *Archiver) output(ctx context.Context, run build.Run) ([]operation, error) {
	message := run.Message
	if message == "" {
		message = "-" // an annotation that is there
	}
	ops := []operation{{"add", annotationPath(annotationMessage), message}}
	if a.save == nil || run.Secret { // its output may show what is secret
		return ops, nil
	}
	l, err := a.save(ctx, run)
	switch {
	case errors.Is(err, errTooLong):
		a.log.WarnContext(ctx, "what a build printed is not archived", "build", run.ID, "error", err)
		return ops, nil
	case errors.Is(err, build.ErrLogGone):
		l = build.Log{Gone: true}
	case err != nil:
		return nil, err
	}
	text, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	return append(ops, operation{"add", annotationPath(annotationLog), string(text)}), nil
}

// errLingers says that the state of a build that has ended is not the last one.
var errLingers = errors.New("a part of the build still runs")

// errTooLong says that what steps printed is more than can be archived.
var errTooLong = fmt.Errorf("%w: it is too long to be archived", build.ErrLogGone)
