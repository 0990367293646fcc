// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
)

// cluster is a state of builds and what changes it. What it shows may be behind what it is.
type cluster struct {
	mu       sync.Mutex
	runs     map[string]build.Run // as they are
	shown    map[string]build.Run
	behind   bool
	watchers []func(build.Run, bool)
	done     []string
	fail     error
	lost     bool // the answer to the next action is lost
}

func newCluster(runs ...build.Run) *cluster {
	c := &cluster{runs: map[string]build.Run{}, shown: map[string]build.Run{}}
	for _, r := range runs {
		c.set(r)
	}
	return c
}

func (c *cluster) set(r build.Run) {
	c.mu.Lock()
	c.runs[r.Name] = r
	if !c.behind {
		c.shown[r.Name] = r
	}
	watchers := slices.Clone(c.watchers)
	c.mu.Unlock()
	for _, f := range watchers {
		f(r, false)
	}
}

// catchUp shows what is.
func (c *cluster) catchUp() {
	c.mu.Lock()
	c.behind = false
	runs := maps.Clone(c.runs)
	c.mu.Unlock()
	for _, r := range runs {
		c.set(r)
	}
}

func (c *cluster) Find(name string) (build.Run, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.shown[name]
	if !ok {
		return r, build.ErrNotFound
	}
	return r, nil
}

func (c *cluster) List(q build.Query) (list []build.Run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.shown {
		if (q.Object == build.ObjectRef{} || q.Object == r.Object) && (!q.Active || r.Active() || r.Lingering) {
			list = append(list, r)
		}
	}
	return list
}

func (c *cluster) Watch(f func(build.Run, bool)) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers = append(c.watchers, f)
	return func() {}
}

// change does what a patch with preconditions does.
func (c *cluster) change(r build.Run, act string, f func(*build.Run)) error {
	c.mu.Lock()
	now, ok := c.runs[r.Name]
	switch {
	case c.fail != nil:
		defer c.mu.Unlock()
		return c.fail
	case !ok || now.UID != r.UID || now.Pending != r.Pending || !now.Active() && act != "delete" && act != "stop":
		defer c.mu.Unlock()
		return build.ErrChanged
	}
	f(&now)
	// At once, so that nobody else's patch finds it as it was.
	if delete(c.runs, r.Name); act != "delete" {
		c.runs[r.Name] = now
	}
	c.done = append(c.done, fmt.Sprintf("%s %s", act, r.ID[len(r.ID)-1:]))
	lost := c.lost
	c.lost = false
	c.mu.Unlock()
	if act == "delete" {
		c.remove(now)
	} else {
		c.set(now)
	}
	if lost {
		return errors.New("the connection is lost")
	}
	return nil
}

func (c *cluster) remove(r build.Run) {
	c.mu.Lock()
	delete(c.runs, r.Name)
	delete(c.shown, r.Name)
	watchers := slices.Clone(c.watchers)
	c.mu.Unlock()
	for _, f := range watchers {
		f(r, true)
	}
}

func (c *cluster) Start(_ context.Context, r build.Run) error {
	return c.change(r, "start", func(r *build.Run) { r.Pending = false })
}

func (c *cluster) Cancel(_ context.Context, r build.Run, reason build.Reason, _ string) error {
	return c.change(r, "cancel", func(r *build.Run) { r.Cancelling, r.Phase, r.Reason = true, build.Cancelled, reason })
}

func (c *cluster) Stop(_ context.Context, r build.Run) error {
	return c.change(r, "stop", func(r *build.Run) { r.Lingering = false })
}

func (c *cluster) Delete(_ context.Context, r build.Run) error {
	return c.change(r, "delete", func(*build.Run) {})
}

func (c *cluster) actions() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.done)
}

// lead runs a leader in a bubble of time until the test ends it.
func lead(t *testing.T, c *cluster) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	l := NewLeader(c, c, Limits{Keep: 2}, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	go func() { ended <- l.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		time.Sleep(2 * retryAfter) // of the bubble, for a timer that is left
	}
}

func TestTheLeader(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		before []build.Run
		events func(*cluster)
		want   []string
	}{
		"starts what is pending when it begins": {[]build.Run{run(1, build.Queued, pending)}, nil, []string{"start 1"}},
		"starts what appears": {nil, func(c *cluster) {
			c.set(run(1, build.Queued, pending))
		}, []string{"start 1"}},
		"lets the newest of an object run": {nil, func(c *cluster) {
			c.set(run(1, build.Queued, pending))
			synctest.Wait()
			c.set(run(2, build.Queued, pending))
		}, []string{"start 1", "cancel 1", "start 2"}},
		"tries again what failed": {nil, func(c *cluster) {
			c.fail = errors.New("the API server is away")
			c.set(run(1, build.Queued, pending))
			synctest.Wait()
			c.mu.Lock()
			c.fail = nil
			c.mu.Unlock()
			time.Sleep(2 * retryAfter)
		}, []string{"start 1"}},
		"finds that an action whose answer was lost is done": {nil, func(c *cluster) {
			c.lost = true
			c.set(run(1, build.Queued, pending))
			synctest.Wait()
			time.Sleep(2 * retryAfter)
		}, []string{"start 1"}},
		"does no harm with a view that is behind": {[]build.Run{run(1, build.Queued, pending)}, func(c *cluster) {
			synctest.Wait()
			c.mu.Lock()
			c.behind = true // it does not see that 1 was started by a second leader, nor what follows
			c.shown[build.RunName(id(1))] = run(1, build.Queued, pending)
			c.mu.Unlock()
			c.set(run(2, build.Queued, pending))
			synctest.Wait()
			c.catchUp()
		}, []string{"start 1", "cancel 1", "start 2"}},
		"stops what lingers of a cancelled build before the next one starts": {nil, func(c *cluster) {
			c.set(run(1, build.Cancelled, ended(stopAfter/2), func(r *build.Run) { r.Lingering = true }))
			c.set(run(2, build.Queued, pending))
			synctest.Wait()
			c.set(run(1, build.Cancelled, ended(2*stopAfter), func(r *build.Run) { r.Lingering = true }))
		}, []string{"stop 1", "start 2"}},
		"deletes when the time has come": {nil, func(c *cluster) {
			for n, ago := range []time.Duration{5, 4, 3} {
				c.set(run(n, build.Failed, ended(ago*time.Hour)))
			}
			time.Sleep(pruneEvery + time.Second)
		}, []string{"delete 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(tt.before...)
				stop := lead(t, c)
				synctest.Wait()
				if tt.events != nil {
					tt.events(c)
				}
				synctest.Wait()
				stop()
				if diff := cmp.Diff(tt.want, c.actions()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestTwoLeadersStartOneBuild: for a moment there may be two.
func TestTwoLeadersStartOneBuild(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		first, second := lead(t, c), lead(t, c)
		for n := range 9 {
			c.set(run(n, build.Queued, pending))
			if n%3 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		first()
		second()
		running := 0
		for _, r := range c.runs {
			if r.Active() && !r.Pending {
				running++
			}
		}
		started := map[string]int{}
		for _, act := range c.actions() {
			started[act]++
		}
		for act, n := range started {
			if n > 1 {
				t.Errorf("%s was done %d times", act, n)
			}
		}
		if r := c.runs[build.RunName(id(8))]; running != 1 || r.Pending || !r.Active() {
			t.Errorf("%d builds run, the newest is %+v", running, r)
		}
	})
}
