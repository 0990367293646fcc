// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"slices"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Limits bound what is in the cluster.
type Limits struct {
	// Keep is how many ended builds of an object are retained; all if 0.
	Keep int
}

// pruneAfter is the minimum age of an ended build before deletion: by then its request is no
// longer redelivered, which would create its run a second time. It is also the maximum age
// of a request that still becomes a run.
const pruneAfter = time.Hour

// stopAfter is the minimum age of an ended build before what lingers of it is stopped: its
// parts are reported a moment later than its end.
const stopAfter = 2 * time.Second

// maxDeletes bounds the deletions of one plan: each deletes pods and volume claims, too.
const maxDeletes = 20

// verb is what is done to a run.
type verb string

const (
	start     verb = "start"
	supersede verb = "supersede"
	stop      verb = "stop"
	remove    verb = "delete"
)

// action is one thing to do.
type action struct {
	verb verb
	run  build.Run
}

// plan decides what is to be done about the builds of some objects. All builds of each of
// these objects have to be among them.
//
// An object has one running build: two of them would publish under the same tag (A17). The
// newest one is wanted. Every older one that has not ended is superseded, so that whoever
// requested it learns what became of it, and the newest starts when nothing of the others runs.
func plan(builds []build.Run, l Limits, now time.Time) (actions []action) {
	deletes := 0
	for _, runs := range byObject(builds) {
		actions = append(actions, advance(runs, now.Add(-stopAfter))...)
		for _, r := range prunable(runs, l.Keep, now.Add(-pruneAfter)) {
			if deletes++; deletes <= maxDeletes {
				actions = append(actions, action{remove, r})
			}
		}
	}
	return actions
}

// byObject groups builds by their objects, each group with the newest build first. The groups
// are in the order of the requests of their newest builds, so that who asked first is first.
func byObject(builds []build.Run) [][]build.Run {
	groups := map[build.ObjectRef][]build.Run{}
	for _, r := range builds {
		groups[r.Object] = append(groups[r.Object], r)
	}
	list := make([][]build.Run, 0, len(groups))
	for _, runs := range groups {
		slices.SortFunc(runs, func(a, b build.Run) int { return b.Compare(a) })
		list = append(list, runs)
	}
	slices.SortFunc(list, func(a, b []build.Run) int { return a[0].Compare(b[0]) })
	return list
}

// advance decides about the builds of one object that still run or wait, the newest build
// first. What lingers of builds that ended before a time is stopped.
func advance(runs []build.Run, before time.Time) (actions []action) {
	newest, others := runs[0], false
	for i, r := range runs {
		if r.Lingering && r.Completed.Before(before) {
			actions = append(actions, action{stop, r})
		}
		if i == 0 || !r.Active() && !r.Lingering {
			continue
		}
		others = true
		if r.Active() && !r.Cancelling {
			actions = append(actions, action{supersede, r})
		}
	}
	if newest.Pending && newest.Active() && !newest.Cancelling && !others {
		actions = append(actions, action{start, newest})
	}
	return actions
}

// prunable returns the builds of one object that ended before a time and may be deleted: not
// the newest ones, as many as keep says; not the newest that was made of a description,
// which the next change is compared with; and none whose workspace is needed to publish it.
func prunable(runs []build.Run, keep int, before time.Time) (old []build.Run) {
	if keep <= 0 {
		return nil
	}
	needed := map[string]bool{newestOf(runs).ID: true}
	newer := 0
	for _, r := range runs {
		switch {
		case r.Active():
			needed[r.Publishes] = true
		case newer < keep:
			newer++
			if r.Retained != nil {
				needed[r.Retained.Build] = true
			}
		}
	}
	newer = 0
	for _, r := range runs {
		switch {
		case r.Active():
		case newer < keep:
			newer++
		case !needed[r.ID] && !r.Completed.IsZero() && r.Completed.Before(before):
			old = append(old, r)
		}
	}
	return old
}

// newestOf returns the build that was made last of the description that the object had, the zero Run
// for none.
func newestOf(runs []build.Run) (newest build.Run) {
	for _, r := range runs {
		if r.Cause.OfDescription() && (newest.ID == "" || r.Compare(newest) > 0) {
			newest = r
		}
	}
	return newest
}
