// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// DeadLetterPath is where the broker sends what it could not deliver.
const DeadLetterPath = "/dead-letters"

// giveUpAfter is how old an event is that is not sent once more. It outlasts a service, a
// registry or an API server that is away for a while; the broker tries for minutes.
const giveUpAfter = time.Hour

// deadLetter takes an event that the broker gave up. A request that never became
// a run is told to its object: whoever asked for the build was told that it is
// accepted. A rejection is tried here. A change of an object and the wish to end a build
// are known to nobody else, and so sent once more. What Tekton says is found by looking
// at the runs.
func (s *Service) deadLetter(ctx context.Context, ev cloudevents.Event) error {
	s.Log.ErrorContext(ctx, "event was not delivered", "type", ev.Type(), "id", ev.ID(),
		"destination", ev.Extensions()["knativeerrordest"], "code", ev.Extensions()["knativeerrorcode"])
	switch ev.Type() {
	case event.TypeRequested:
		return s.neverStarted(ctx, ev)
	case event.TypeRejected:
		return s.handle(ctx, ev)
	case event.TypeApplicationChange, event.TypeDeviceChange, event.TypeCancelled:
		return s.sendAgain(ctx, ev)
	default:
		return nil
	}
}

// sendAgain gives an event to the broker once more, without what that has put into it. One
// that was refused for good is refused again.
func (s *Service) sendAgain(ctx context.Context, ev cloudevents.Event) error {
	code, _ := strconv.Atoi(fmt.Sprint(ev.Extensions()["knativeerrorcode"])) // none if there was no answer
	if s.Clock().Sub(ev.Time()) > giveUpAfter || code/100 == 4 && !event.Redelivered(code) {
		return nil
	}
	again := ev.Clone()
	for name := range ev.Extensions() {
		if strings.HasPrefix(name, "knative") {
			again.SetExtension(name, nil)
		}
	}
	return s.sender.Send(ctx, again)
}

// neverStarted tells the object of a request what became of it.
func (s *Service) neverStarted(ctx context.Context, ev cloudevents.Event) error {
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
