// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"context"
	"slices"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

// pruneAfter is how long ago a build ended at least that is deleted. By then the broker has
// given up to deliver what was asked of it: a request that came again would make its run
// anew.
const pruneAfter = time.Hour

// prune deletes the builds of an object that have ended, but for the newest ones. It is
// done when a new one begins, and a failure is left to the next.
func (h *handler) prune(ctx context.Context, runs []build.Run, r build.Request) {
	for _, id := range prunable(runs, r, h.Keep, h.Clock().Add(-pruneAfter)) {
		if err := h.runs.Delete(ctx, id); err != nil {
			h.Log.WarnContext(ctx, "build cannot be deleted", "build", id, "error", err)
			return
		}
		h.Log.InfoContext(ctx, "build deleted", "build", id, "target", r.Target.String())
	}
}

// prunable returns the ids of builds that ended before a time and may be deleted: not
// the newest ones, as many as keep says; not the newest that was made of a description,
// which the next is compared with; and none whose workspace is still to be published.
func prunable(runs []build.Run, r build.Request, keep int, before time.Time) (ids []string) {
	if keep <= 0 {
		return nil
	}
	ended := slices.DeleteFunc(slices.Clone(runs), func(run build.Run) bool { return run.Active() || run.ID == r.ID })
	slices.SortFunc(ended, func(a, b build.Run) int {
		if a.After(b) {
			return -1
		}
		return 1
	})
	needed := map[string]bool{newestOf(runs).ID: true, r.Publishes: true}
	if r.Publication != nil {
		needed[r.Publication.Build] = true
	}
	for _, run := range ended[:min(keep, len(ended))] {
		if run.Kept != nil {
			needed[run.Kept.Build] = true
		}
	}
	for _, run := range ended[min(keep, len(ended)):] {
		if !needed[run.ID] && !run.Completed.IsZero() && run.Completed.Before(before) {
			ids = append(ids, run.ID)
		}
	}
	return ids
}
