// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/pkg/build"
)

const (
	// atATime is how many builds are archived at the same time.
	atATime = 4
	// archiveRetry is the interval after which a build is tried once more that could not be archived.
	archiveRetry = 10 * time.Second
)

// Archiver archives of builds that have ended what is gone with their pods: the line of the output that
// explains a failure, as an annotation of the run, and what their steps printed. It is for the leader
// alone.
type Archiver struct {
	state  *Store
	client *Client
	save   func(ctx context.Context, r build.Run) error
	log    *slog.Logger
}

// NewArchiver returns an archiver. The function save archives what the steps of a build printed; nothing is archived
// of that if it is nil.
func NewArchiver(
	state *Store,
	c *Client,
	save func(ctx context.Context, r build.Run) error,
	log *slog.Logger,
) *Archiver {
	return &Archiver{state, c, save, log}
}

// Run archives builds as they end until the context ends, those that have ended before at first.
func (a *Archiver) Run(ctx context.Context) error {
	var mu sync.Mutex
	waiting := map[string]bool{}
	more := make(chan struct{}, 1)
	add := func(r build.Run) {
		if !r.Phase.Final() || r.Archived || r.Name == "" {
			return
		}
		mu.Lock()
		waiting[r.Name] = true
		mu.Unlock()
		select {
		case more <- struct{}{}:
		default:
		}
	}
	defer a.state.Watch(func(r build.Run, deleted bool) {
		if !deleted {
			add(r)
		}
	})()
	for _, r := range a.state.List(build.Query{}) {
		add(r)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-more:
		}
		mu.Lock()
		names := waiting
		waiting = map[string]bool{}
		mu.Unlock()
		var g errgroup.Group
		g.SetLimit(atATime)
		for name := range names {
			run, err := a.state.Find(name)
			if err != nil || run.Archived { // it was deleted, or archived by an earlier leader
				continue
			}
			g.Go(func() error {
				if err := a.archive(ctx, run); err != nil && ctx.Err() == nil {
					a.log.WarnContext(ctx, "what a build printed is archived later", "build", run.ID, "error", err)
					time.AfterFunc(archiveRetry, func() { add(run) })
				}
				return nil
			})
		}
		_ = g.Wait() // none of them fails
	}
}

// archive archives one build. The annotation comes last: a build that has it is complete.
func (a *Archiver) archive(ctx context.Context, run build.Run) error {
	full, err := a.client.Get(ctx, run.ID)
	if errors.Is(err, build.ErrNotFound) || err == nil && full.UID != run.UID {
		return nil
	}
	if err != nil {
		return err
	}
	if a.save != nil && !full.Secret { // its output may show what is secret
		if err := a.save(ctx, full); err != nil && !errors.Is(err, build.ErrLogGone) {
			return err
		}
	}
	message := full.Message
	if message == "" {
		message = "-" // an annotation that is there
	}
	err = a.client.patch(ctx, full, "archive", []operation{
		{"test", "/metadata/uid", full.UID}, {"add", annotationPath(annotationMessage), message},
	})
	if errors.Is(err, build.ErrChanged) {
		return nil
	}
	return err
}

// errTooLong says that what steps printed is more than can be archived.
var errTooLong = fmt.Errorf("%w: it is too long to be archived", build.ErrLogGone)
