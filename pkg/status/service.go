// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
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

// Runs reads what the state does not have.
type Runs interface {
	// Get reads a build in full, or returns [build.ErrNotFound].
	Get(ctx context.Context, id string) (build.Run, error)
}

// Objects writes the status of Drogue objects.
type Objects interface {
	// Update lets change edit the object's status, and writes it unless change
	// reports false. It may call change several times.
	Update(ctx context.Context, o build.ObjectRef, change func(build.Object) (bool, error)) error
}

// Options configure a [Service].
type Options struct {
	Log   *slog.Logger
	Clock func() time.Time
	// Events verifies what comes in.
	Events event.Options
	// Resync is the interval at which the leader reads the objects of builds anew that have
	// not ended, or ended a short time ago.
	Resync time.Duration
	// Ended is called for each build whose end is seen, once in the life of a leader. May be nil.
	Ended func(context.Context, build.Run)
	// Wrote counts what came of the writing of a status, by one of [Outcomes]. May be nil.
	Wrote func(ctx context.Context, outcome string)
}

// Outcomes is the closed list of what comes of the writing of a status: it was written, it was there
// already, the object is not there or takes none, or it is tried later.
var Outcomes = []string{outcomeWritten, outcomeUnchanged, outcomeRefused, outcomeFailed}

const (
	outcomeWritten   = "written"
	outcomeUnchanged = "unchanged"
	outcomeRefused   = "refused"
	outcomeFailed    = "failed"
)

// Deps are what a service works with.
type Deps struct {
	State   State
	Runs    Runs
	Objects Objects
	Sender  event.Sender
}

// Service is the status service: an http.Handler of events, workers of a queue, and the loop
// of the leader.
type Service struct {
	state   State
	runs    Runs
	objects Objects
	sender  event.Sender
	// queue has the names of runs to write.
	queue  workqueue.TypedRateLimitingInterface[string]
	events http.Handler
	dead   http.Handler
	memory memory
	Options
}

// Times of repeated work on one run that fails.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// New returns the service. It handles events at once; call [Service.Run] and [Service.Lead]
// besides.
func New(d Deps, o Options) *Service {
	s := &Service{
		state:   d.State,
		runs:    d.Runs,
		objects: d.Objects,
		sender:  d.Sender,
		Options: o,
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry),
		),
	}
	if s.Ended == nil {
		s.Ended = func(context.Context, build.Run) {}
	}
	if s.Wrote == nil {
		s.Wrote = func(context.Context, string) {}
	}
	s.events, s.dead = event.Subscriber(o.Events, s.handle), event.Subscriber(o.Events, s.deadLetter)
	return s
}

// ServeHTTP takes one event, at [DeadLetterPath] one that could not be delivered.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == DeadLetterPath {
		s.dead.ServeHTTP(w, r)
		return
	}
	s.events.ServeHTTP(w, r)
}

// workers is how many objects are written at the same time.
const workers = 16

// Run works on the queue until the context ends.
func (s *Service) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.queue.ShutDown)()
	var g sync.WaitGroup
	for range workers {
		g.Go(func() {
			for s.work(ctx) {
			}
		})
	}
	g.Wait()
	return nil
}

// work takes the next run from the queue. It reports false when the queue has ended.
func (s *Service) work(ctx context.Context) bool {
	name, ended := s.queue.Get()
	if ended {
		return false
	}
	defer s.queue.Done(name)
	if err := s.sync(ctx, name); err != nil && ctx.Err() == nil {
		s.Log.WarnContext(ctx, "status is written later", "run", name, "error", err)
		s.queue.AddRateLimited(name)
		return true
	}
	s.queue.Forget(name)
	return true
}
