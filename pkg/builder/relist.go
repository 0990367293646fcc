// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// maxPause is the longest pause between two applications of a re-list.
const maxPause = time.Second

// Relister finds the descriptions that are not built although they should be: the event of their
// change was lost, or came while everything was down, or the installation's user became a member of
// the application later, of which there is no event (EVT-6).
type Relister struct {
	handler *handler
	builds  func(build.Query) []build.Run
	every   time.Duration
}

// NewRelister returns one that lists all objects so often. What it finds, it handles as the handler
// of the same dependencies and options handles an event.
func NewRelister(d Deps, o Options, s State, every time.Duration) *Relister {
	return &Relister{newHandler(d, o), s.List, every}
}

// Run lists until the context ends. One replica at a time should; a second one does no harm.
func (r *Relister) Run(ctx context.Context) error {
	if r.every <= 0 || r.handler.IgnoreChanges {
		<-ctx.Done()
		return nil
	}
	for {
		if err := r.Pass(ctx); err != nil && ctx.Err() == nil {
			r.handler.Log.WarnContext(ctx, "objects cannot be listed", "error", err)
		}
		// Installations that share a registry do not ask it at the same time.
		wait := r.every - r.every/10 + rand.N(r.every/5+1) //nolint:gosec // no secret
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// Pass looks at every object once, spread over a quarter of the interval.
func (r *Relister) Pass(ctx context.Context) error {
	type application struct {
		build.ObjectRef

		uid string
	}
	var applications []application
	failed := r.handler.list.EachApplication(ctx, func(ref build.ObjectRef, o build.Object) error {
		if !r.handler.enabled(ref) {
			return nil
		}
		applications = append(applications, application{ref, o.UID()})
		return r.visit(ctx, ref, build.UIDs{Application: o.UID()}, o)
	})
	for _, a := range applications {
		err := r.handler.list.EachDevice(ctx, a.Application, func(ref build.ObjectRef, o build.Object) error {
			return r.visit(ctx, ref, build.UIDs{Application: a.uid, Device: o.UID()}, o)
		})
		if !gone(err) {
			failed = errors.Join(failed, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(r.every/4/time.Duration(len(applications)), maxPause)):
		}
	}
	return failed
}

// settled reports whether there is nothing to do, or the object says already how that ended: the run
// may be gone, and was cancelled, or published what an earlier one left.
func (d decision) settled(record build.Record) bool {
	switch {
	case d.spec != nil:
		return record.Phase.Final() && record.DescriptionHash == d.spec.Hash
	case d.rejection != nil:
		return record.Build == d.rejection.ID ||
			record.Reason == d.rejection.Reason && record.Message == d.rejection.Message
	default:
		return true
	}
}

// visit has an object looked at that is not built as it is described. The list and the state may be
// behind: whoever handles the change reads both anew. An error is that of the context.
func (r *Relister) visit(ctx context.Context, ref build.ObjectRef, uids build.UIDs, o build.Object) error {
	h := r.handler
	if !build.Describes(o.Firmware()) {
		return nil
	}
	now := h.Clock()
	d := decideChange(h.Policy, o, ref, uids, r.builds(build.Query{Object: ref}), now)
	if record := build.RecordOf(o, now); d.settled(record) {
		return nil
	}
	h.Log.InfoContext(ctx, "description found that is not built", "object", ref.String())
	if err := h.changed(ctx, event.Change{Object: ref, Subject: ".spec.firmware"}); err != nil {
		h.Log.WarnContext(ctx, "description that was found cannot be built", "object", ref.String(), "error", err)
	}
	return ctx.Err()
}
