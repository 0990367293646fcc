// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/pkg/build"
)

const (
	// countedAtOnce is how many builds are counted at a time: each costs the API server three reads.
	countedAtOnce = 20
	countWithin   = 5 * time.Second
	countLines    = 20
)

// Counter moves the progress of builds that run: with the time that they have taken, and by what their
// builders count themselves.
type Counter struct {
	state  *Store
	client *Client
	every  time.Duration
}

// NewCounter returns a counter that looks at the builds of a store at an interval.
func NewCounter(s *Store, c *Client, every time.Duration) *Counter { return &Counter{s, c, every} }

// Run counts until the context ends.
func (c *Counter) Run(ctx context.Context) error {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	counts := map[string]count{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			counts = c.count(ctx, counts)
			c.state.advance(counts)
		}
	}
}

// count reads the counts of builds whose builder runs. Those that are too many are not counted, and what
// cannot be read stays as it was.
func (c *Counter) count(ctx context.Context, before map[string]count) map[string]count {
	ctx, cancel := context.WithTimeout(ctx, countWithin)
	defer cancel()
	var mu sync.Mutex
	counts := map[string]count{}
	var g errgroup.Group
	for _, r := range c.state.List(build.Query{Active: true}) {
		if r.Reason != build.ReasonBuilding || len(counts) == countedAtOnce {
			continue
		}
		counts[r.Name] = before[r.Name]
	}
	for _, r := range c.state.List(build.Query{Active: true}) {
		earlier, ok := counts[r.Name]
		if !ok {
			continue
		}
		g.Go(func() error {
			o := build.LogOptions{Step: stageBuild.name(), Tail: countLines}
			_ = c.client.Log(ctx, r.ID, o, func(_ string, output io.Reader) error {
				if output == nil {
					return nil
				}
				now := countIn(tail(output), earlier)
				mu.Lock()
				defer mu.Unlock()
				counts[r.Name] = now
				return nil
			})
			return nil
		})
	}
	_ = g.Wait() // none of them fails
	return counts
}
