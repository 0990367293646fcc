// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// parallelRuns is how many runs of one push are created at the same time.
const parallelRuns = 16

// pushed builds the objects of an application whose source was pushed to. Nothing is stored of a
// push: what fails is repeated as a whole, and the runs that exist by then stay as they are.
func (h *handler) pushed(ctx context.Context, p build.Push) error {
	if !h.enabled(build.ObjectRef{Application: p.Application}) {
		return nil
	}
	if h.Clock().Sub(p.Time) > pruneAfter { // its runs may have been deleted
		if h.Events.Dropped != nil {
			h.Events.Dropped(ctx, event.TypePushed, "late")
		}
		h.Log.ErrorContext(ctx, "push could not be handled within an hour", "application", p.Application)
		return nil
	}
	ref := build.ObjectRef{Application: p.Application}
	app, err := h.objects.Object(ctx, ref)
	if gone(err) {
		h.unreadable(ctx, event.TypePushed, ref, err)
		return nil
	}
	if err != nil {
		return err
	}
	var specs []build.Spec
	visit := func(ref build.ObjectRef, uids build.UIDs, o build.Object) {
		if s := decidePush(h.Policy, o, ref, uids, p); s != nil && !h.exists(s.ID) {
			specs = append(specs, *s)
		}
	}
	visit(ref, build.UIDs{Application: app.UID()}, app)
	if err := h.list.EachDevice(ctx, p.Application, func(ref build.ObjectRef, o build.Object) error {
		visit(ref, build.UIDs{Application: app.UID(), Device: o.UID()}, o)
		return nil
	}); err != nil && !gone(err) { // deleted since it was read
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelRuns)
	for _, s := range specs {
		g.Go(func() error { return h.create(ctx, s) })
	}
	return g.Wait()
}

// decidePush returns the build of an object whose source a push has moved, nil for none. Its id
// follows from the object, the description and what was pushed: a push that is delivered twice, or
// by two webhooks, leads to one build. A description that is wrong was reported when it was written.
func decidePush(policy build.Policy, o build.Object, ref build.ObjectRef, uids build.UIDs, p build.Push) *build.Spec {
	d, err := policy.Parse(o.Firmware(), ref)
	if err != nil || !d.BuildsOn(build.TriggerPush) {
		return nil
	}
	pushed, pin, ok := p.Of(d.Source)
	if !ok {
		return nil
	}
	hash, revision, at := d.Hash(), "", ""
	if pin {
		revision = pushed.Commit
	}
	if !p.Pushed.IsZero() {
		at = p.Pushed.UTC().Format(time.RFC3339)
	}
	return &build.Spec{
		ID:     build.DerivedID("push", ref.Hash(), uids.Of(), hash, pushed.Name, pushed.Before, pushed.Commit, at),
		Object: ref, UIDs: uids, Description: d, Hash: hash, Revision: revision, Cause: build.CausePush,
		Requested: p.Requested(),
	}
}
