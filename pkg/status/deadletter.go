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

// giveUpAfter is the age at which an event is not resent. It outlasts a service, a
// registry or an API server that is away for a while; the broker tries for minutes.
const giveUpAfter = time.Hour

// deadLetter takes an event that the broker gave up. A request that never became a run is
// reported on its object: whoever asked for the build got the answer that it is accepted. A
// rejection is written here. A change of an object, a push and the request to end a build are
// known to nobody else, and are sent anew. What Tekton reports is in the runs.
func (s *Service) deadLetter(ctx context.Context, ev cloudevents.Event) error {
	s.Log.ErrorContext(ctx, "event was not delivered", "type", ev.Type(), "id", ev.ID(),
		"destination", ev.Extensions()["knativeerrordest"], "code", ev.Extensions()["knativeerrorcode"])
	switch ev.Type() {
	case event.TypeRequested:
		r, err := event.DecodeRequested(ev)
		if err != nil {
			return err
		}
		return s.neverCreated(ctx, build.Run{ID: r.ID, Object: r.Object, Requester: r.Requester, Status: build.Status{
			DescriptionHash: r.DescriptionHash, Cause: r.Cause, Requested: r.Time,
		}})
	case event.TypeRepublish:
		r, err := event.DecodeRepublish(ev)
		if err != nil {
			return err
		}
		return s.neverCreated(ctx, build.Run{ID: r.ID, Object: r.Object, Requester: r.Requester, Status: build.Status{
			Cause: build.CausePublish, Requested: r.Time,
		}})
	case event.TypeRejected:
		return s.handle(ctx, ev)
	case event.TypeApplicationChange, event.TypeDeviceChange, event.TypeCancelled, event.TypePushed:
		return s.resend(ctx, ev)
	default:
		return nil
	}
}

// resend gives an event to the broker anew, without what that has put into it. One that
// was refused for good would be refused, too.
func (s *Service) resend(ctx context.Context, ev cloudevents.Event) error {
	code, _ := strconv.Atoi(fmt.Sprint(ev.Extensions()["knativeerrorcode"])) // none if there was no answer
	if s.Clock().Sub(ev.Time()) > giveUpAfter || code/100 == 4 && !event.Redelivered(code) {
		return nil
	}
	resent := ev.Clone()
	for name := range ev.Extensions() {
		if strings.HasPrefix(name, "knative") {
			resent.SetExtension(name, nil)
		}
	}
	return s.sender.Send(ctx, resent)
}

// neverCreated reports on the object of a request that it did not become a run.
func (s *Service) neverCreated(ctx context.Context, asked build.Run) error {
	// The run may exist all the same: then only the answer was lost.
	run, err := s.runs.Get(ctx, asked.ID)
	switch {
	case err == nil:
		return s.write(ctx, run)
	case !errors.Is(err, build.ErrNotFound):
		return err
	}
	asked.Phase, asked.Reason, asked.Completed = build.Failed, build.ReasonInternalError, s.Clock()
	asked.Message = "The build could not be created in time: request it again"
	return s.write(ctx, asked)
}
