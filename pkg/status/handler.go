// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

func (s *Service) handle(ctx context.Context, ev cloudevents.Event) error {
	switch {
	case ev.Type() == event.TypeRejected:
		r, err := event.DecodeRejected(ev)
		if err != nil {
			return err
		}
		return s.write(ctx, build.Run{ID: r.ID, Object: r.Object, Rejected: r.Section, Status: build.Status{
			Phase: build.Failed, Reason: r.Reason, Message: build.Clean(r.Message), Requested: r.Time, Completed: r.Time,
		}})
	case event.IsTekton(ev):
		run, ours, err := event.DecodeTekton(ev)
		if err != nil || !ours {
			return err
		}
		s.hint(ctx, run)
	}
	return nil // the others are not ours
}

// hint queues a run that an event of Tekton names. Anybody can send such an event: it says no
// more than "read this run", and a run that does not exist or is a different one is dropped.
func (s *Service) hint(ctx context.Context, t event.Tekton) {
	if run, err := s.state.Find(t.Name); err != nil || run.UID != t.UID {
		s.Log.DebugContext(ctx, "event of an unknown run", "run", t.Name, "uid", t.UID)
		return
	}
	s.queue.Add(t.Name)
}
