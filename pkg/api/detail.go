// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Detail is what is shown of a single build only.
type Detail struct {
	// Recorded reports whether the object shows the end of the build, or a newer build. It is
	// there for a build that has ended.
	Recorded *bool `json:"recorded,omitempty"`
	// SupersededBy is the id of the build that was asked for next, if this one ended for that.
	SupersededBy string `json:"supersededBy,omitempty"`
	// Supersedes is the id of the build that ended for this one.
	Supersedes string `json:"supersedes,omitempty"`
	// Actions are what the caller may ask for now: "cancel", "publish", "rerun" and "trigger".
	Actions []string `json:"actions,omitzero"`
	// Meaning says what happened to a build that has failed, and Remedy what to do about it.
	Meaning string `json:"meaning,omitempty"`
	Remedy  string `json:"remedy,omitempty"`
	// Description is what was built, in its normalized form. It is there if it is asked for.
	Description *build.Description `json:"description,omitempty"`
}

// minShort is how much of the end of an id is enough. Its beginning is the time: all builds of 65
// seconds share the first eight digits.
const minShort = 8

// find returns the build of the path, and its application, if the caller may read that.
func (h *handler) find(c *call) (*build.Run, build.Object, error) {
	if !build.ValidID(c.id) {
		return h.findShort(c)
	}
	run, err := h.state.Find(build.RunName(c.id))
	if err != nil {
		return nil, nil, err
	}
	app := build.ObjectRef{Application: run.Object.Application}
	o, err := h.registry.ObjectAs(c.Context(), c.principal.Token, app)
	if errors.Is(err, build.ErrNoObject) || errors.Is(err, build.ErrForbidden) ||
		err == nil && !build.SameUID(run.UIDs.Application, o.UID()) {
		return nil, nil, build.ErrNotFound // as if there were none
	}
	return &run, o, err
}

// findShort finds a build by the end of its id, among those that the caller may read.
func (h *handler) findShort(c *call) (*build.Run, build.Object, error) {
	if len(c.id) < minShort || !build.EndOfID(c.id) {
		return nil, nil, build.ErrNotFound
	}
	applications, err := h.applications(c)
	if err != nil {
		return nil, nil, err
	}
	runs := h.buildsOf(applications, build.Query{})
	runs = slices.DeleteFunc(runs, func(r *build.Run) bool { return !strings.HasSuffix(r.ID, c.id) })
	switch len(runs) {
	case 0:
		return nil, nil, build.ErrNotFound
	case 1:
		c.id, c.build = runs[0].ID, runs[0].ID
		return h.find(c)
	default:
		p := problem(http.StatusConflict, "Ambiguous", "Several builds have an id that ends like that: write more of it")
		for _, r := range newestFirst(runs) {
			p.Candidates = append(p.Candidates, r.ID)
		}
		return nil, nil, p
	}
}

// getBuild shows one build. The answer has an ETag, so that who asks often gets the same build once.
func (h *handler) getBuild(w http.ResponseWriter, c *call) error {
	described, err := c.flag("description")
	if err != nil {
		return err
	}
	object, err := c.named()
	if err != nil {
		return err
	}
	run, application, err := h.find(c)
	if errors.Is(err, build.ErrNotFound) && object != (build.ObjectRef{}) {
		return h.getRejected(w, c, object)
	}
	if err != nil {
		return err
	}
	if described || run.Reason == build.ReasonBuildFailed && !run.Archived { // whose message will quote the log
		full, err := h.runs.Get(c.Context(), run.ID)
		if err != nil {
			return err
		}
		shown := *run // whose progress is that of the state
		shown.Description, shown.Message = full.Description, full.Message
		run = &shown
	}
	b := h.placed(run)
	b.Detail = h.detail(c, run, application)
	b.explain(run)
	if described {
		b.Description = &run.Description
	}
	return replyOnce(w, c, b)
}

// getRejected shows a build that never had a run, which only its object knows of.
func (h *handler) getRejected(w http.ResponseWriter, c *call, object build.ObjectRef) error {
	for _, run := range h.rejectedOf(c, object) {
		if strings.HasSuffix(run.ID, c.id) && len(c.id) >= minShort {
			b := h.shown(run)
			b.Detail = Detail{Recorded: new(true), Actions: h.actions(c, run)}
			b.explain(run)
			return replyOnce(w, c, b)
		}
	}
	return build.ErrNotFound
}

// explain adds what a failure means.
func (d *Detail) explain(run *build.Run) {
	if run.Phase == build.Failed {
		d.Meaning, d.Remedy = run.Reason.Meaning(), run.Reason.Remedy()
	}
}

// detail returns what is shown of a single build besides.
func (h *handler) detail(c *call, run *build.Run, application build.Object) (d Detail) {
	if !run.Active() {
		d.Recorded = h.recorded(c, run, application)
	}
	runs := slices.DeleteFunc(h.state.List(build.Query{Object: run.Object}), func(r build.Run) bool {
		return !build.SameUID(r.UIDs.Of(), run.UIDs.Of())
	})
	slices.SortFunc(runs, build.Run.Compare)
	at := slices.IndexFunc(runs, func(r build.Run) bool { return r.ID == run.ID })
	if at+1 < len(runs) && at >= 0 && run.Reason == build.ReasonSuperseded {
		d.SupersededBy = runs[at+1].ID
	}
	if at > 0 && runs[at-1].Reason == build.ReasonSuperseded {
		d.Supersedes = runs[at-1].ID
	}
	d.Actions = h.actions(c, run)
	return d
}

// actions are what the caller may ask for now. Who asks may find that it has changed meanwhile.
func (h *handler) actions(c *call, run *build.Run) []string {
	c.object = run.Object
	list := []string{}
	if h.hasRole(c) != nil || h.enabled(run.Object) != nil || <-h.mayWrite(c) != nil {
		return list
	}
	if run.Active() && !run.Cancelling {
		list = append(list, "cancel")
	}
	own := h.ofObject(c, run) == nil
	if _, err := build.PublicationOf(*run); err == nil && own {
		list = append(list, "publish")
	}
	if build.Reruns(*run) == nil && own && h.undisturbed(run) == nil {
		list = append(list, "rerun")
	}
	return append(list, "trigger")
}

// recorded reports whether the object of a build that has ended shows its end, or a newer build;
// nil if the object is not there or cannot be read.
func (h *handler) recorded(c *call, run *build.Run, o build.Object) *bool {
	if run.Object.Device != "" {
		var err error
		if o, err = h.registry.ObjectAs(c.Context(), c.principal.Token, run.Object); err != nil {
			return nil
		}
	}
	r := build.RecordOf(o, h.Clock())
	return new(r.Build == run.ID && r.Phase.Final() || r.Run().Compare(*run) > 0)
}

// replyOnce answers with a body and its ETag, or with 304 if the caller has the body already.
func replyOnce(w http.ResponseWriter, c *call, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	w.Header().Set("ETag", tag)
	if slices.ContainsFunc(strings.Split(c.Header.Get("If-None-Match"), ","), func(s string) bool {
		return strings.TrimPrefix(strings.TrimSpace(s), "W/") == tag
	}) {
		w.Header().Set("Cache-Control", "no-cache")
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return replyRaw(w, http.StatusOK, bytes.TrimSpace(data))
}
