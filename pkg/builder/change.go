// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// changed looks at an object that changed, and creates a run if its description is not that
// of the newest build. The event is a hint: anybody may have sent it.
func (h *handler) changed(ctx context.Context, c event.Change) error {
	if h.IgnoreChanges || !c.Relevant() || !h.enabled(c.Object) {
		return nil
	}
	// The time before the description is read: whoever reads a newer one is newer.
	at := h.Clock()
	o, uids, err := h.read(ctx, c.Object)
	if errors.Is(err, build.ErrForbidden) { // it is there: one that was deleted is not found
		h.unreadable(ctx, event.TypeApplicationChange, c.Object, err)
	}
	if gone(err) {
		// Knative's KafkaSource changes names with blanks, quotes or letters beyond ASCII.
		h.Log.InfoContext(
			ctx,
			"changed object is not there: it was deleted, or its name was changed on the way",
			"object",
			build.Clean(c.Object.String()),
		)
		return nil
	}
	if err != nil {
		return err
	}
	// The state may be behind by the delay of a watch: a description that went back to what
	// it was would be taken for one that is built.
	runs, err := h.runs.ListObject(ctx, c.Object)
	if err != nil {
		return err
	}
	switch d := decideChange(h.Policy, o, c.Object, uids, runs, at); {
	case d.rejection != nil:
		h.Log.WarnContext(ctx, "description rejected", "object", c.Object.String(), "message", d.rejection.Message)
		return h.reject(ctx, *d.rejection)
	case d.spec != nil:
		h.Log.InfoContext(ctx, "description changed", "build", d.spec.ID, "object", c.Object.String())
		return h.create(ctx, *d.spec)
	default:
		return nil
	}
}

// enabled reports whether changes of an object's application are built (A26).
func (h *handler) enabled(o build.ObjectRef) bool {
	return len(h.Applications) == 0 || slices.Contains(h.Applications, o.Application)
}

// gone reports whether an object does not exist, or may not be read.
func gone(err error) bool {
	return errors.Is(err, build.ErrNoObject) || errors.Is(err, build.ErrForbidden)
}

// decision is what a change of an object leads to: nothing, a build, or a rejection that
// tells the user what is wrong.
type decision struct {
	spec      *build.Spec
	rejection *build.Rejection
}

// decideChange compares the description of an object with that of its newest build; those of
// an earlier object of the same name are none of its. The id of the build that it asks for
// follows from the object, the description and the newest build: the same change that is seen
// twice leads to the same build, while going back to a former description leads to a new one.
//
// A description that was wrong and is as it was before is rebuilt: the object says that
// it is wrong, and the state of the build before it is older.
func decideChange(
	policy build.Policy, o build.Object, ref build.ObjectRef, uids build.UIDs, runs []build.Run, at time.Time,
) decision {
	runs = slices.DeleteFunc(slices.Clone(runs), func(r build.Run) bool {
		return !build.SameUID(r.UIDs.Of(), uids.Of())
	})
	section, newest := o.Firmware(), newestOf(runs)
	d, err := policy.Parse(section, ref)
	var invalid *build.InvalidError
	switch {
	case errors.As(err, &invalid):
		return decision{rejection: &build.Rejection{
			ID: build.DerivedID("rejected", ref.Hash(), uids.Of(), string(section), newest.ID), Object: ref, Time: at,
			Reason: build.ReasonInvalidBuildSpec, Message: build.Clean(invalid.Error()), Section: build.SectionHash(section),
		}}
	case err != nil: // nothing to build
		return decision{}
	}
	hash, last := d.Hash(), newest.ID
	record := build.RecordOf(o, at)
	switch {
	case record.Reason == build.ReasonInvalidBuildSpec && record.DescriptionHash == "":
		last = record.Build
	case !record.Started.IsZero() && record.Cause.OfDescription() && record.Run().Compare(newest) > 0:
		newest = record.Run() // somebody deleted the run
		last = newest.ID
	}
	if !d.BuildsOn(build.TriggerChange) || hash == newest.DescriptionHash && last == newest.ID {
		return decision{}
	}
	return decision{spec: &build.Spec{
		ID: build.DerivedID("change", ref.Hash(), uids.Of(), hash, last), Object: ref, UIDs: uids, Description: d, Hash: hash,
		Cause: build.CauseChange, Requested: at,
	}}
}
