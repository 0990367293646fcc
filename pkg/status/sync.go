// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"errors"
	"fmt"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/internal/trace"
)

// sync brings the object of a run up to date with the run as it is now.
func (s *Service) sync(ctx context.Context, name string) error {
	run, err := s.state.Find(name)
	if errors.Is(err, build.ErrNotFound) {
		return s.vanished(ctx, name)
	}
	if err != nil {
		return err
	}
	switch {
	case s.memory.has(run):
		return nil
	case s.outdated(run):
		return s.finish(ctx, run)
	case run.Reason == build.ReasonBuildFailed:
		// What the builder printed is read once, of that run alone.
		full, err := s.runs.Get(ctx, run.ID)
		if err == nil && full.UID == run.UID && full.Reason == run.Reason {
			run.Message = full.Message
		} else if err != nil && !errors.Is(err, build.ErrNotFound) {
			return err
		}
	}
	return s.write(ctx, run)
}

// outdated reports whether the object has a newer build, whose state it shows.
func (s *Service) outdated(run build.Run) bool {
	for _, r := range s.state.List(build.Query{Object: run.Object}) {
		if r.Compare(run) > 0 {
			return true
		}
	}
	return false
}

// finish announces the end of a build whose state no object shows any more.
func (s *Service) finish(ctx context.Context, run build.Run) error {
	if !run.Phase.Final() || s.memory.isAnnounced(run) {
		return nil
	}
	if err := s.announce(ctx, event.Finished, run); err != nil {
		return fmt.Errorf("announce the end of build %s: %w", run.ID, err)
	}
	s.memory.announce(run)
	if s.memory.count(run) {
		s.Ended(ctx, run)
	}
	return nil
}

// vanished ends a build whose run was deleted before it ended: nothing else will say so.
func (s *Service) vanished(ctx context.Context, name string) error {
	run, ok := s.memory.found(name)
	if !ok {
		return nil
	}
	run.Phase, run.Reason, run.Completed = build.Failed, build.ReasonInternalError, s.Clock()
	run.Message = "The run of the build was deleted before it ended: ask for it again"
	if err := s.write(ctx, run); err != nil {
		return err
	}
	s.memory.done(name)
	return nil
}

// write brings the object up to date. The end of a build is announced before it is recorded:
// when the process dies in between, it is announced a second time, with the same id. When it cannot
// be announced, it is recorded as such: a subscriber that is away must not keep users from
// the state of their builds. An object that is gone, or that the registry will never take, is
// given up.
func (s *Service) write(ctx context.Context, run build.Run) (err error) {
	ctx, end := trace.Start(
		trace.With(ctx, run.Trace), trace.Internal, "write condition", "ajour.build", run.ID, "ajour.object",
		run.Object.String(), "ajour.reason", string(run.Reason),
	)
	defer func() { end(err) }()
	var did writing
	announced := s.memory.isAnnounced(run)
	for b := whole; b <= bare; b++ {
		err = s.objects.Update(ctx, run.Object, func(o build.Object) (changed bool, err error) {
			did = writing{}
			switch {
			case !build.SameUID(run.UIDs.Of(), o.UID()):
				return false, fmt.Errorf("%w: it was made anew", build.ErrNoObject)
			case !run.Phase.Final() || announced:
			case finished(build.RecordOf(o, s.Clock()), run):
				did.unannounced = s.announce(ctx, event.Finished, run)
				announced = did.unannounced == nil
			default: // by a different replica, or by the one before
				announced = true
			}
			old := build.RecordOf(o, s.Clock())
			did.written, err = decide(o, run, did.unannounced != nil, b, s.Clock())
			did.began = did.written && run.Phase == build.Running && (old.Build != run.ID || old.Phase == build.Queued)
			did.ended = did.written && run.Phase.Final() && (old.Build != run.ID || !old.Phase.Final())
			return did.written, err
		})
		if !errors.Is(err, build.ErrTooLarge) {
			break
		}
		s.Log.WarnContext(
			ctx, "object has no room for the state of its build", "build", run.ID, "object", run.Object.String(),
		)
	}
	if announced && run.Phase.Final() {
		s.memory.announce(run)
	}
	return s.wrote(ctx, run, did, err)
}

// writing is what was done to an object.
type writing struct {
	// began and ended say that its build did, as far as the object knows.
	written, began, ended bool
	// unannounced is why the end could not be announced.
	unannounced error
}

// wrote concludes a writing.
func (s *Service) wrote(ctx context.Context, run build.Run, did writing, err error) error {
	switch {
	case errors.Is(err, build.ErrNoObject) || errors.Is(err, build.ErrForbidden) || errors.Is(err, build.ErrRejected):
		s.Log.WarnContext(ctx, "status cannot be written", "build", run.ID, "object", run.Object.String(), "error", err)
		s.Wrote(ctx, outcomeRefused)
		s.memory.wrote(run) // until the next resync
		return nil
	case err != nil:
		s.Wrote(ctx, outcomeFailed)
		return fmt.Errorf("write status of build %s: %w", run.ID, err)
	}
	s.memory.wrote(run)
	if did.ended && s.memory.count(run) {
		s.Ended(ctx, run)
	}
	if !did.written {
		s.Wrote(ctx, outcomeUnchanged)
	} else {
		s.Wrote(ctx, outcomeWritten)
		s.Log.InfoContext(
			ctx, "status written", "build", run.ID, "object", run.Object.String(), "phase", run.Phase, "reason",
			run.Reason,
		)
	}
	if did.began {
		if err := s.announce(ctx, event.Started, run); err != nil { // a hint that nobody waits for
			s.Log.WarnContext(ctx, "start of a build is not announced", "build", run.ID, "error", err)
		}
	}
	if did.unannounced != nil {
		return fmt.Errorf("announce the end of build %s: %w", run.ID, did.unannounced)
	}
	return nil
}

// announceWithin bounds the time to announce the start or the end of a build: the broker may wait
// for all who subscribe to it.
const announceWithin = 5 * time.Second

func (s *Service) announce(
	ctx context.Context, what func(source string, r build.Run) (cloudevents.Event, error), run build.Run,
) error {
	ev, err := what(event.SourceStatus, run)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, announceWithin)
	defer cancel()
	return s.sender.Send(ctx, ev)
}
