// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// Runs manages the runs of builds.
type Runs interface {
	// Create makes a run; one that exists already is left as it is.
	Create(ctx context.Context, r build.Request) error
	// List returns the builds of a target.
	List(ctx context.Context, t build.Target) ([]build.Run, error)
	// Cancel ends a build that has not ended.
	Cancel(ctx context.Context, id string, reason build.Reason, by string) error
	// Delete removes a build that has ended, with all that it left in the cluster; it is
	// no error if there is none.
	Delete(ctx context.Context, id string) error
}

// Objects reads the registry with the service's own credentials.
type Objects interface {
	Object(ctx context.Context, t build.Target) (build.Object, error)
}

// Sender publishes events.
type Sender interface {
	Send(ctx context.Context, ev cloudevents.Event) error
}

// Options configure a handler.
type Options struct {
	Log   *slog.Logger
	Clock func() time.Time
	// Applications are the only ones that are built when they change; all if empty (A26).
	Applications []string
	// Keep is how many builds of an object stay that have ended; all if 0.
	Keep int
	// IgnoreChanges keeps changes of descriptions from starting builds (A23).
	IgnoreChanges bool
}

type handler struct {
	runs    Runs
	objects Objects
	sender  Sender
	Options
}

// New returns the handler of the events that the builder subscribes to.
func New(runs Runs, objects Objects, sender Sender, o Options) http.Handler {
	h := &handler{runs, objects, sender, o}
	return event.Handler(o.Log, h.handle)
}

func (h *handler) handle(ctx context.Context, ev cloudevents.Event) error {
	switch ev.Type() {
	case event.TypeRequested:
		r, err := event.DecodeRequested(ev)
		if err != nil {
			return err
		}
		return h.requested(ctx, r)
	case event.TypeCancelled:
		c, err := event.DecodeCancelled(ev)
		if err != nil {
			return err
		}
		return h.cancelled(ctx, c)
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

// requested makes the run of a build, and cancels the older ones of the same
// object: two of them would publish under the same tag (A17). They are cancelled
// first, so that a repetition after a crash in between does the same again. A
// request that comes after a newer one still becomes a run, which is cancelled
// at once: whoever asked for it finds out what became of it.
func (h *handler) requested(ctx context.Context, r build.Request) error {
	if r.Publishes != "" {
		if goOn, err := h.resolve(ctx, &r); !goOn || err != nil {
			return err
		}
	}
	if r.Trigger == build.TriggerChange {
		if goOn, err := h.current(ctx, r); !goOn || err != nil {
			return err
		}
	}
	if _, err := h.supersede(ctx, r); err != nil {
		return err
	}
	switch err := h.runs.Create(ctx, r); {
	case errors.Is(err, build.ErrRefused):
		h.Log.ErrorContext(ctx, "run refused", "build", r.ID, "error", err)
		return h.reject(ctx, build.Rejection{
			ID: r.ID, Target: r.Target, Time: r.Time, Reason: build.ReasonInternalError,
			Message: build.Clean("The cluster refused the build's run: " + err.Error()),
		})
	case err != nil:
		return err
	}
	h.Log.InfoContext(ctx, "run created", "build", r.ID, "run", build.RunName(r.ID), "target", r.Target.String())
	// Requests for the same object are handled at the same time. Whichever run
	// is there last, its handler sees the others now.
	runs, err := h.supersede(ctx, r)
	if err == nil {
		h.prune(ctx, runs, r)
	}
	return err
}

// resolve finds what a request to publish a build again is about. It reports false for
// one that is refused. A request that comes again after its run was made has no need of it.
func (h *handler) resolve(ctx context.Context, r *build.Request) (goOn bool, err error) {
	runs, err := h.runs.List(ctx, r.Target)
	if err != nil || slices.ContainsFunc(runs, func(run build.Run) bool { return run.ID == r.ID }) {
		return err == nil, err
	}
	var refused error
	if r.Publication, refused = publicationOf(runs, r.Publishes); refused == nil {
		return true, nil
	}
	return false, h.reject(ctx, build.Rejection{
		ID: r.ID, Target: r.Target, Time: r.Time, Reason: build.ReasonArtifactNotFound, Message: build.Clean("Nothing can be published: " + refused.Error()),
	})
}

// supersede cancels every active build of the target but the newest. It returns the builds
// as they were before.
func (h *handler) supersede(ctx context.Context, r build.Request) ([]build.Run, error) {
	runs, err := h.runs.List(ctx, r.Target)
	if err != nil {
		return nil, err
	}
	for _, id := range superseded(runs, r) {
		if err := h.runs.Cancel(ctx, id, build.ReasonSuperseded, ""); err != nil && !errors.Is(err, build.ErrNotFound) {
			return nil, err
		}
		h.Log.InfoContext(ctx, "build superseded", "build", id, "target", r.Target.String())
	}
	return runs, nil
}

func (h *handler) cancelled(ctx context.Context, c build.Cancellation) error {
	err := h.runs.Cancel(ctx, c.ID, build.ReasonCancelled, c.Requester)
	if errors.Is(err, build.ErrNotFound) {
		// The request may still be on its way; if not, the broker gives up.
		return fmt.Errorf("cancel build %s: %w", c.ID, err)
	}
	return err
}

func (h *handler) reject(ctx context.Context, r build.Rejection) error {
	ev, err := event.Rejected(event.SourceBuilder, r)
	if err != nil {
		return err
	}
	return h.sender.Send(ctx, ev)
}
