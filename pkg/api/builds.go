// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// listNewest shows the newest build of each object, as existing clients expect.
func (h *handler) listNewest(w http.ResponseWriter, c *call) error {
	applications, err := h.applications(c)
	if err != nil {
		return err
	}
	runs := h.buildsOf(applications, build.Query{Newest: true})
	list := make([]any, 0, len(runs))
	built := make(map[build.ObjectRef]bool, len(runs))
	for _, b := range h.show(newestFirst(runs)) {
		list = append(list, b)
		built[build.ObjectRef{Application: b.Application, Device: b.Device}] = true
	}
	for _, o := range h.described(c, applications) {
		if !built[o] {
			list = append(list, Unbuilt{o.Application, o.Device})
		}
	}
	return reply(w, http.StatusOK, list)
}

// buildsOf returns the builds that a query selects, of the applications that the caller may
// read. Those of an earlier application of the same name were somebody else's.
func (h *handler) buildsOf(applications []build.Listed, q build.Query) (runs []*build.Run) {
	for _, a := range applications {
		q.Application = a.Object.Application
		if q.Object != (build.ObjectRef{}) && q.Object.Application != q.Application {
			continue
		}
		h.state.Each(q, func(r *build.Run) {
			if build.SameUID(r.UIDs.Application, a.UID) {
				runs = append(runs, r)
			}
		})
	}
	return runs
}

// askWithin bounds the time in which the applications of builds are asked for one by one.
const askWithin = 10 * time.Second

// applications returns the applications that the caller may read. A single object that the
// registry cannot send breaks off its list: each that has builds is asked for then.
func (h *handler) applications(c *call) ([]build.Listed, error) {
	list, failed := h.registry.ApplicationsAs(c.Context(), c.principal.Token)
	if failed == nil || errors.Is(failed, build.ErrUnauthenticated) {
		return list, failed
	}
	list = nil
	candidates := map[string]bool{}
	for _, r := range h.state.List(build.Query{Newest: true}) {
		candidates[r.Object.Application] = true
	}
	ctx, cancel := context.WithTimeout(c.Context(), askWithin)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(8)
	var mu sync.Mutex
	answered := false
	for name := range candidates {
		g.Go(func() error {
			ref := build.ObjectRef{Application: name}
			o, err := h.registry.ObjectAs(ctx, c.principal.Token, ref)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				list = append(list, build.Listed{Object: ref, UID: o.UID(), Described: build.Describes(o.Firmware())})
			}
			answered = answered || err == nil || errors.Is(err, build.ErrNoObject) || errors.Is(err, build.ErrForbidden)
			return nil
		})
	}
	_ = g.Wait() // none of them fails
	if !answered {
		return nil, failed
	}
	h.Log.WarnContext(c.Context(), "registry cannot list the applications of a caller", "error", failed)
	return list, nil
}

// earlier reads the build of the path in full, if the caller may ask for a further one that is made of
// it, and returns the id of that one.
func (h *handler) earlier(c *call) (full build.Run, id string, err error) {
	if err := h.hasRole(c); err != nil {
		return full, "", err
	}
	run, _, err := h.find(c)
	if err != nil {
		return full, "", err
	}
	if err := h.enabled(run.Object); err != nil {
		return full, "", err
	}
	c.object = run.Object
	mayWrite, readable := h.mayWrite(c), h.readable(c)
	if err := cmp.Or(<-mayWrite, <-readable, h.ofObject(c, run)); err != nil {
		return full, "", err
	}
	if id, err = h.newID(c, run.UIDs.Of()); err != nil {
		return full, "", err
	}
	if err := h.admitBuild(c); err != nil {
		return full, "", err
	}
	full, err = h.runs.Get(c.Context(), run.ID)
	return full, id, err
}

// republish asks for what a build has compiled to be published without a second compilation.
func (h *handler) republish(w http.ResponseWriter, c *call) error {
	full, id, err := h.earlier(c)
	if err != nil {
		return err
	}
	_, err = build.PublicationOf(full)
	if err := cmp.Or(err, h.Policy.Admits(full.Object, full.Description)); err != nil {
		return problem(http.StatusConflict, "Conflict", "Nothing can be published: "+err.Error())
	}
	ev, err := event.Republish(
		event.SourceAPI,
		build.Republish{ID: id, Object: full.Object, Of: full.ID, Requester: c.principal.Name, Time: c.at},
	)
	if err != nil {
		return err
	}
	return h.request(w, c, ev, Accepted{ID: id})
}

// rerun asks for a build of what an earlier one was made of: its description and its commit.
func (h *handler) rerun(w http.ResponseWriter, c *call) error {
	full, id, err := h.earlier(c)
	if err != nil {
		return err
	}
	if err := cmp.Or(
		build.Reruns(full),
		h.undisturbed(&full),
		h.Policy.AdmitsBuild(full.Object, full.Description),
	); err != nil {
		return problem(http.StatusConflict, "Conflict", "The build cannot be run again: "+err.Error())
	}
	ev, err := event.Requested(event.SourceAPI, build.Request{
		ID: id, Object: full.Object, Of: full.ID, DescriptionHash: full.DescriptionHash, Cause: build.CauseRerun,
		Requester: c.principal.Name, Time: c.at,
	})
	if err != nil {
		return err
	}
	return h.request(w, c, ev, Accepted{ID: id})
}

// undisturbed returns why a build must not be rerun now: it would take the place of one of the
// description that the object has, which nothing would ask for once more.
func (h *handler) undisturbed(run *build.Run) error {
	for _, r := range h.state.List(build.Query{Object: run.Object, Active: true}) {
		if r.Active() && r.Cause.OfDescription() {
			return errors.New("a build of the description that the object has now is on its way: wait for its end")
		}
	}
	return nil
}

// ofObject returns a problem if a build is of an earlier device of the same name. That of an earlier
// application is not found at all.
func (h *handler) ofObject(c *call, run *build.Run) error {
	if run.Object.Device == "" {
		return nil
	}
	o, err := h.registry.ObjectAs(c.Context(), c.principal.Token, run.Object)
	if err == nil && !build.SameUID(run.UIDs.Of(), o.UID()) {
		return problem(http.StatusConflict, "Conflict", "The build is of an earlier device of that name: build this one")
	}
	return err
}

// cancelBuild asks for the end of a build.
func (h *handler) cancelBuild(w http.ResponseWriter, c *call) error {
	if err := h.hasRole(c); err != nil {
		return err
	}
	run, _, err := h.find(c)
	if err != nil {
		return err
	}
	c.object = run.Object
	if err := <-h.mayWrite(c); err != nil {
		return err
	}
	if !run.Active() {
		return problem(http.StatusConflict, "Conflict", "The build has ended already")
	}
	ev, err := event.Cancelled(
		event.SourceAPI,
		build.Cancellation{ID: run.ID, Object: run.Object, Requester: c.principal.Name, Time: c.at},
	)
	if err != nil {
		return err
	}
	if err := h.sender.Send(c.Context(), ev); err != nil {
		return err
	}
	return accepted(w, c, run.Object, Accepted{ID: run.ID})
}
