// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"errors"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// DeadLetterPath is where the broker sends what it could not deliver.
const DeadLetterPath = "/dead-letters"

// deadLetter takes an event that the broker gave up. A request that never became
// a run is told to its object: whoever asked for the build was told that it is
// accepted. All else is found by looking at the runs.
func (s *Service) deadLetter(ctx context.Context, ev cloudevents.Event) error {
	s.Log.ErrorContext(ctx, "event was not delivered", "type", ev.Type(), "id", ev.ID(),
		"destination", ev.Extensions()["knativeerrordest"], "code", ev.Extensions()["knativeerrorcode"])
	if ev.Type() != event.TypeRequested {
		return nil
	}
	r, err := event.DecodeRequested(ev)
	if err != nil {
		return err
	}
	// The run may exist all the same: then only the answer was lost.
	run, err := s.runs.Find(ctx, build.RunName(r.ID))
	switch {
	case err == nil:
		return s.observe(ctx, run.Name, run.UID)
	case !errors.Is(err, build.ErrNotFound):
		return err
	}
	return s.write(ctx, build.Run{
		ID: r.ID, Target: r.Target, DescriptionHash: r.DescriptionHash, Requester: r.Requester, Trigger: r.Trigger,
		Phase: build.Failed, Reason: build.ReasonInternalError, Requested: r.Time, Completed: s.Clock(),
		Message: "The build could not be started in time: ask for it again",
	})
}
