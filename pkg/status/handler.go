// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// Runs reads the runs of builds.
type Runs interface {
	// Find returns the build of a run, by the name of the run.
	Find(ctx context.Context, name string) (build.Run, error)
	// List returns the builds of a target, or of all for the zero target.
	List(ctx context.Context, t build.Target) ([]build.Run, error)
}

// Objects writes the status of Drogue objects.
type Objects interface {
	// Update lets change edit the object's status, and writes it unless change
	// reports false. It may call change several times.
	Update(ctx context.Context, t build.Target, change func(build.Object) (bool, error)) error
}

// Sender publishes events.
type Sender interface {
	Send(ctx context.Context, ev cloudevents.Event) error
}

// Options configure a [Service].
type Options struct {
	Log   *slog.Logger
	Clock func() time.Time
	// Repair is the time between two looks at all runs.
	Repair time.Duration
}

// Service is the status service: an http.Handler of events, and a loop.
type Service struct {
	runs    Runs
	objects Objects
	sender  Sender
	locks   locks
	told    told
	events  http.Handler
	dead    http.Handler
	Options
}

// New returns the service.
func New(runs Runs, objects Objects, sender Sender, o Options) *Service {
	s := &Service{runs: runs, objects: objects, sender: sender, Options: o}
	s.events, s.dead = event.Handler(o.Log, s.handle), event.Handler(o.Log, s.deadLetter)
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

func (s *Service) handle(ctx context.Context, ev cloudevents.Event) error {
	switch {
	case ev.Type() == event.TypeRejected:
		r, err := event.DecodeRejected(ev)
		if err != nil {
			return err
		}
		return s.write(ctx, build.Run{
			ID: r.ID, Target: r.Target, Phase: build.Failed, Reason: r.Reason, Message: build.Clean(r.Message),
			Requested: r.Time, Completed: r.Time,
		})
	case event.IsTekton(ev):
		run, ours, err := event.DecodeTekton(ev)
		if err != nil || !ours {
			return err
		}
		return s.observe(ctx, run.Name, run.UID)
	default:
		return nil // not ours
	}
}

// observe looks at a run that an event spoke of. Anybody can send events: a run
// that does not exist, is another one by now, or is none of ours is passed over.
// The lock makes the events of one run wait for each other, and each of them
// finds the run as it is then: nothing older is ever written last.
func (s *Service) observe(ctx context.Context, name, uid string) error {
	defer s.locks.lock(name)()
	run, err := s.runs.Find(ctx, name)
	if errors.Is(err, build.ErrNotFound) || (err == nil && uid != "" && run.UID != uid) {
		s.Log.InfoContext(ctx, "event of an unknown run", "run", name, "uid", uid)
		return nil
	}
	if err != nil {
		return err
	}
	return s.write(ctx, run)
}

// write brings the object up to date. The end of a build is announced before it
// is recorded: when the process dies in between, it is announced again, with the
// same id. When it cannot be announced, it is recorded as such: a subscriber that is
// away must not keep users from the state of their builds. An object that is gone, or
// that the registry will never take, is given up.
func (s *Service) write(ctx context.Context, run build.Run) error {
	written, announced := false, s.told.has(run)
	var untold error
	err := s.objects.Update(ctx, run.Target, func(o build.Object) (changed bool, err error) {
		untold = nil
		switch {
		case !run.Phase.Final() || announced:
		case finished(build.RecordOf(o), run):
			untold = s.announce(ctx, run)
			announced = untold == nil
		default: // by another replica, or by the one before
			announced = true
		}
		written, err = decide(o, run, untold != nil, s.Clock())
		return written, err
	})
	if announced {
		s.told.add(run)
	}
	switch {
	case errors.Is(err, build.ErrNoObject) || errors.Is(err, build.ErrForbidden) || errors.Is(err, build.ErrRejected):
		s.Log.WarnContext(ctx, "status cannot be written", "build", run.ID, "target", run.Target.String(), "error", err)
		return nil
	case err != nil:
		return fmt.Errorf("write status of build %s: %w", run.ID, err)
	}
	if written {
		s.Log.InfoContext(ctx, "status written", "build", run.ID, "target", run.Target.String(), "phase", run.Phase, "reason", run.Reason)
	}
	if untold != nil {
		return fmt.Errorf("announce the end of build %s: %w", run.ID, untold)
	}
	return nil
}

// announceWithin bounds the time to announce the end of a build: the broker may wait for
// all who subscribe to it.
const announceWithin = 5 * time.Second

func (s *Service) announce(ctx context.Context, run build.Run) error {
	ev, err := event.Finished(event.SourceStatus, run)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, announceWithin)
	defer cancel()
	return s.sender.Send(ctx, ev)
}
