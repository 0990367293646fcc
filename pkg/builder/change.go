// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"context"
	"errors"
	"slices"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// changed looks at an object that changed, and asks for a build if its
// description is not that of the newest build. The request goes through the
// broker like any other, so that there is one way in which builds begin.
func (h *handler) changed(ctx context.Context, c event.Change) error {
	if h.IgnoreChanges || !c.Relevant() || len(h.Applications) > 0 && !slices.Contains(h.Applications, c.Target.Application) {
		return nil
	}
	// The time before the description is read: whoever reads a newer one is newer.
	at := h.Clock()
	o, err := h.objects.Object(ctx, c.Target)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	runs, err := h.runs.List(ctx, c.Target)
	if err != nil {
		return err
	}
	switch d := decideChange(o, c.Target, runs); {
	case d.rejection != nil:
		d.rejection.Time = at
		h.Log.WarnContext(ctx, "description rejected", "target", c.Target.String(), "message", d.rejection.Message)
		return h.reject(ctx, *d.rejection)
	case d.request != nil:
		d.request.Time = at
		ev, err := event.Requested(event.SourceBuilder, *d.request)
		if err != nil {
			return err
		}
		h.Log.InfoContext(ctx, "description changed", "build", d.request.ID, "target", c.Target.String())
		return h.sender.Send(ctx, ev)
	default:
		return nil
	}
}

// current reports whether a request that a change led to still is for what the object
// says. It may have waited, for room in the cluster or for its turn, while the
// description went on: then another request is on its way, or none is needed. One that
// comes again after its run was made goes on: that run may have to make way for another.
func (h *handler) current(ctx context.Context, r build.Request) (goOn bool, err error) {
	o, err := h.objects.Object(ctx, r.Target)
	if err != nil && !gone(err) {
		return false, err
	}
	if err == nil && describes(o, r.DescriptionHash) {
		return true, nil
	}
	runs, err := h.runs.List(ctx, r.Target)
	if err != nil {
		return false, err
	}
	made := slices.ContainsFunc(runs, func(run build.Run) bool { return run.ID == r.ID })
	if !made {
		h.Log.InfoContext(ctx, "request is out of date", "build", r.ID, "target", r.Target.String())
	}
	return made, nil
}

// describes reports whether the description of an object is the one with the hash.
func describes(o build.Object, hash string) bool {
	d, err := build.Parse(o.Firmware())
	return err == nil && d.Hash() == hash
}

// gone reports whether an object is not there, or none of ours.
func gone(err error) bool {
	return errors.Is(err, build.ErrNoObject) || errors.Is(err, build.ErrForbidden)
}
