// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"context"
	"errors"
	"slices"

	"github.com/drogue-iot/ajour/pkg/build"
)

// rerun creates the run of a build that is made of what an earlier one was made of: its description
// and its commit. Only what is found of that build counts, which must be of the same object.
func (h *handler) rerun(ctx context.Context, r build.Request, uids build.UIDs) error {
	refuse := func(why error) error {
		return h.reject(ctx, build.Rejection{
			ID: r.ID, Object: r.Object, Time: r.Time, Reason: build.ReasonInternalError,
			Message: build.Clean("The build cannot be run again: " + why.Error()),
		})
	}
	earlier, err := h.runs.Get(ctx, r.Of)
	switch {
	case errors.Is(err, build.ErrNotFound) || err == nil && earlier.Object != r.Object:
		return refuse(errors.New("it does not exist any more: ask for a new one"))
	case err != nil:
		return err
	case !build.SameUID(earlier.UIDs.Of(), uids.Of()):
		return refuse(errors.New("it is of an earlier object of that name: ask for a build of this one"))
	}
	if err := build.Reruns(earlier); err != nil {
		return refuse(err)
	}
	if err := h.Policy.AdmitsBuild(r.Object, earlier.Description); err != nil {
		return refuse(err)
	}
	// It would take the place of the build of a description that has just changed, which nothing would
	// ask for once more.
	runs, err := h.runs.ListObject(ctx, r.Object)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(runs, func(o build.Run) bool { return o.Active() && o.Cause.OfDescription() }) {
		return refuse(errors.New("a build of the description that the object has now is on its way: wait for its end"))
	}
	return h.create(ctx, build.Spec{
		ID: r.ID, Object: r.Object, UIDs: uids, Description: earlier.Description, Hash: earlier.DescriptionHash,
		Revision: earlier.Commit, Requester: r.Requester, Cause: build.CauseRerun, Requested: r.Time,
	})
}
