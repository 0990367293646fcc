// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// New returns the handler of the events that the builder subscribes to.
func New(d Deps, o Options) http.Handler {
	return event.Subscriber(o.Events, newHandler(d, o).handle)
}

func (h *handler) handle(ctx context.Context, ev cloudevents.Event) error {
	switch ev.Type() {
	case event.TypeRequested:
		r, err := event.DecodeRequested(ev)
		if err != nil {
			return err
		}
		return h.requested(ctx, r)
	case event.TypeRepublish:
		r, err := event.DecodeRepublish(ev)
		if err != nil {
			return err
		}
		return h.republish(ctx, r)
	case event.TypeCancelled:
		c, err := event.DecodeCancelled(ev)
		if err != nil {
			return err
		}
		return h.cancelled(ctx, c)
	case event.TypePushed:
		p, err := event.DecodePushed(ev)
		if err != nil {
			return err
		}
		return h.pushed(ctx, p)
	case event.TypeApplicationChange, event.TypeDeviceChange:
		c, err := event.DecodeChange(ev)
		if err != nil {
			return err
		}
		return h.changed(ctx, c)
	default:
		return nil // not ours
	}
}

// requested creates the run of a build from the description that the object has now. A
// redelivered request whose run exists needs no lookup.
func (h *handler) requested(ctx context.Context, r build.Request) error {
	if h.exists(r.ID) {
		return nil
	}
	if h.Clock().Sub(r.Time) > pruneAfter {
		return h.reject(ctx, build.Rejection{
			ID: r.ID, Object: r.Object, Time: r.Time, Reason: build.ReasonInternalError, Message: messageLate,
		})
	}
	o, uids, err := h.read(ctx, r.Object)
	if gone(err) {
		h.unreadable(ctx, event.TypeRequested, r.Object, err)
		return nil
	}
	if err != nil {
		return err
	}
	if r.Of != "" {
		return h.rerun(ctx, r, uids)
	}
	d, err := h.Policy.Parse(o.Firmware(), r.Object)
	if err != nil {
		return h.reject(ctx, build.Rejection{
			ID: r.ID, Object: r.Object, Time: r.Time, Reason: build.ReasonInvalidBuildSpec,
			Message: build.Clean(err.Error()), Section: build.SectionHash(o.Firmware()),
		})
	}
	return h.create(ctx, build.Spec{
		ID:          r.ID,
		Object:      r.Object,
		UIDs:        uids,
		Description: d,
		Hash:        d.Hash(),
		Revision:    r.Revision,
		Requester:   r.Requester,
		Cause:       r.Cause,
		Requested:   r.Time,
	})
}

const messageLate = "The build could not be created within an hour of its request: request it again"

var errTooLate = errors.New("the request could not be handled within an hour: request it again")

// republish creates the run that publishes what an earlier build left. Only what is found of
// that build counts, which must be of the same object.
func (h *handler) republish(ctx context.Context, r build.Republish) error {
	if h.exists(r.ID) {
		return nil
	}
	refuse := func(why error) error {
		return h.reject(ctx, build.Rejection{
			ID:      r.ID,
			Object:  r.Object,
			Time:    r.Time,
			Reason:  build.ReasonArtifactNotFound,
			Message: build.Clean("Nothing can be published: " + why.Error()),
		})
	}
	if h.Clock().Sub(r.Time) > pruneAfter {
		return refuse(errTooLate)
	}
	earlier, err := h.runs.Get(ctx, r.Of)
	if errors.Is(err, build.ErrNotFound) || err == nil && earlier.Object != r.Object {
		return refuse(errors.New("the build does not exist any more: build again"))
	}
	if err != nil {
		return err
	}
	_, uids, err := h.read(ctx, r.Object)
	if gone(err) {
		h.unreadable(ctx, event.TypeRepublish, r.Object, err)
		return nil
	}
	if err != nil {
		return err
	}
	if !build.SameUID(earlier.UIDs.Of(), uids.Of()) {
		return refuse(errors.New("the build is of an earlier object of that name: build this one"))
	}
	p, err := build.PublicationOf(earlier)
	if err != nil {
		return refuse(err)
	}
	if err := h.Policy.Admits(r.Object, earlier.Description); err != nil {
		return refuse(err)
	}
	if p.Claim != "" && p.Build != earlier.ID {
		switch _, err := h.runs.Get(ctx, p.Build); {
		case errors.Is(err, build.ErrNotFound):
			return refuse(errors.New("the workspace is gone with the build that it is of: build again"))
		case err != nil:
			return err
		}
	}
	return h.create(ctx, build.Spec{
		ID:          r.ID,
		Object:      r.Object,
		UIDs:        uids,
		Description: earlier.Description,
		Hash:        earlier.DescriptionHash,
		Requester:   r.Requester,
		Cause:       build.CausePublish,
		Requested:   r.Time,
		Publication: p,
	})
}

// read reads an object, and the uids that tell it from an earlier one.
func (h *handler) read(ctx context.Context, ref build.ObjectRef) (o build.Object, uids build.UIDs, err error) {
	if o, err = h.objects.Object(ctx, ref); err != nil {
		return nil, uids, err
	}
	if ref.Device == "" {
		return o, build.UIDs{Application: o.UID()}, nil
	}
	app, err := h.objects.Object(ctx, build.ObjectRef{Application: ref.Application})
	if err != nil {
		return nil, uids, err
	}
	return o, build.UIDs{Application: app.UID(), Device: o.UID()}, nil
}

// unreadable says that an object cannot be read that somebody else has read just now: it was
// deleted in between or, for good, our user is no member of the application (2.2).
func (h *handler) unreadable(ctx context.Context, kind string, o build.ObjectRef, err error) {
	if h.Events.Dropped != nil {
		h.Events.Dropped(ctx, kind, "unreadable")
	}
	h.Log.ErrorContext(
		ctx, "object cannot be read: unless it was deleted, make the installation's user a member of the application",
		"object", o.String(), "error", err,
	)
}

func (h *handler) exists(id string) bool {
	_, err := h.state.Find(build.RunName(id))
	return err == nil
}

func (h *handler) create(ctx context.Context, s build.Spec) error {
	switch err := h.runs.Create(ctx, s); {
	case errors.Is(err, build.ErrRefused):
		h.Log.ErrorContext(ctx, "run refused", "build", s.ID, "error", err)
		return h.reject(ctx, build.Rejection{
			ID: s.ID, Object: s.Object, Time: s.Requested, Reason: build.ReasonInternalError,
			Message: build.Clean("The cluster refused the build's run: " + err.Error()),
		})
	case err != nil:
		return err
	}
	h.Log.InfoContext(
		ctx, "run created", "build", s.ID, "run", build.RunName(s.ID), "object", s.Object.String(), "cause",
		s.Cause,
	)
	return nil
}

// cancelled ends a build that has not ended. One that is not there may still be on its way;
// if it is not, the broker gives up.
func (h *handler) cancelled(ctx context.Context, c build.Cancellation) error {
	run, err := h.state.Find(build.RunName(c.ID))
	if err != nil {
		return fmt.Errorf("cancel build %s: %w", c.ID, err)
	}
	if !run.Active() || run.Cancelling || run.Object != c.Object {
		return nil
	}
	return h.cancel.Cancel(ctx, run, build.ReasonCancelled, c.Requester)
}

func (h *handler) reject(ctx context.Context, r build.Rejection) error {
	ev, err := event.Rejected(event.SourceBuilder, r)
	if err != nil {
		return err
	}
	return h.sender.Send(ctx, ev)
}
