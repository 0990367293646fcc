// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"slices"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Build is a build as the API shows it.
type Build struct {
	// Application, Device and Phase are, with the times of the status, what existing clients
	// read (contract 5.4, AJ-1).
	Application string `json:"app"`
	Device      string `json:"device,omitempty"`
	Phase       string `json:"status"`

	ID        string `json:"id"`
	Requester string `json:"requester,omitempty"`
	build.Status
	// Source is where the source is, by the description.
	Source build.Source `json:"source,omitzero"`
	// Committed is when the commit was made that was fetched.
	Committed time.Time `json:"committed,omitzero"`
	// Steps are what the build does, in their order.
	Steps []build.Step `json:"steps,omitempty"`
	// Updated is when something of it changed last.
	Updated time.Time `json:"updated"`
	// Estimate is how long it will probably take from its start, in seconds: the median of the
	// last builds of the object that succeeded. It is there for a build that has not ended.
	Estimate int `json:"estimate,omitempty"`
	// Queue is the place of a build that is queued among all that are, from 1.
	Queue int `json:"queue,omitempty"`
	// Publishes is the id of the build whose firmware is republished.
	Publishes string `json:"publishes,omitempty"`
	// Log is what is there of its output; nil while that is not known, as before it has ended.
	Log *build.Log `json:"log,omitempty"`
	// Rejected says that the build never had a run, since its description is wrong.
	Rejected bool `json:"rejected,omitempty"`
	// Detail is there for a single build.
	Detail
}

// Unbuilt is an object in the list of newest builds that has a description, and no build.
type Unbuilt struct {
	Application string `json:"app"`
	Device      string `json:"device,omitempty"`
}

// show returns builds as the API shows them.
func (h *handler) show(runs []*build.Run) []Build {
	list, positions := make([]Build, len(runs)), map[string]int(nil)
	for i, r := range runs {
		list[i] = h.shown(r)
		if r.Phase == build.Queued && r.Name != "" {
			if positions == nil {
				positions = h.positions()
			}
			list[i].Queue = positions[r.ID]
		}
	}
	return list
}

func (h *handler) shown(r *build.Run) Build {
	b := Build{
		Application: r.Object.Application,
		Device:      r.Object.Device,
		Phase:       string(r.Phase),
		ID:          r.ID,
		Requester:   r.Requester,
		Status:      r.Status.UTC(),
		Source:      r.Source,
		Committed:   r.Committed.UTC(),
		Steps:       r.Steps,
		Updated:     updated(r),
		Publishes:   r.Publishes,
		Log:         r.Log,
		Rejected:    r.Name == "",
	}
	if r.Active() {
		b.Estimate = int(h.estimate(r).Round(time.Second).Seconds())
	}
	return b
}

// placed is a build with its place in the queue.
func (h *handler) placed(r *build.Run) Build { return h.show([]*build.Run{r})[0] }

// updated is the last time that a build knows of.
func updated(r *build.Run) time.Time {
	at := slices.MaxFunc([]time.Time{r.Requested, r.Started, r.Completed}, time.Time.Compare)
	for _, s := range r.Steps {
		at = slices.MaxFunc([]time.Time{at, s.Started, s.Completed}, time.Time.Compare)
	}
	return at.UTC()
}

// estimateOf is how many builds an estimate is made of.
const estimateOf = 5

// estimate is the median time of the last builds of the object that succeeded in what this one does;
// 0 if there is none.
func (h *handler) estimate(r *build.Run) time.Duration {
	list := h.state.List(build.Query{Object: r.Object})
	list = slices.DeleteFunc(list, func(o build.Run) bool {
		return o.Phase != build.Succeeded || !build.SameUID(o.UIDs.Of(), r.UIDs.Of()) ||
			(o.Publishes == "") != (r.Publishes == "") ||
			o.Started.IsZero() ||
			o.Completed.IsZero()
	})
	if len(list) == 0 {
		return 0
	}
	slices.SortFunc(list, func(a, b build.Run) int { return b.Compare(a) })
	list = list[:min(estimateOf, len(list))]
	took := func(r build.Run) time.Duration { return r.Completed.Sub(r.Started) }
	slices.SortFunc(list, func(a, b build.Run) int { return cmp.Compare(took(a), took(b)) })
	return took(list[len(list)/2])
}

// positions are those of all builds in the queue, by their ids.
func (h *handler) positions() map[string]int {
	var queue []*build.Run
	h.state.Each(build.Query{Active: true}, func(r *build.Run) {
		if r.Phase == build.Queued {
			queue = append(queue, r)
		}
	})
	slices.SortFunc(queue, build.CompareRuns)
	positions := make(map[string]int, len(queue))
	for i, r := range queue {
		positions[r.ID] = i + 1
	}
	return positions
}
