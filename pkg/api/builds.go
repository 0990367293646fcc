// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// defaultLimit bounds a list of builds unless the caller asks for more.
const defaultLimit = 100

// Build is a build as the API shows it. Its first five members are those of
// existing clients (contract 5.4, AJ-1).
type Build struct {
	Application string    `json:"app"`
	Device      string    `json:"device,omitempty"`
	Started     time.Time `json:"started,omitzero"`
	Completed   time.Time `json:"completed,omitzero"`
	// Status is the phase: Queued, Running, Succeeded, Failed or Cancelled.
	Status    string          `json:"status"`
	ID        string          `json:"id"`
	Reason    build.Reason    `json:"reason"`
	Message   string          `json:"message,omitempty"`
	Progress  float64         `json:"progress"`
	Requested time.Time       `json:"requested"`
	Requester string          `json:"requester,omitempty"`
	Trigger   build.Trigger   `json:"trigger"`
	Commit    string          `json:"commit,omitempty"`
	Artifact  *build.Artifact `json:"artifact,omitempty"`
}

func show(r build.Run) Build {
	return Build{
		Application: r.Target.Application, Device: r.Target.Device, Started: r.Started, Completed: r.Completed,
		Status: string(r.Phase), ID: r.ID, Reason: r.Reason, Message: r.Message, Progress: r.Progress, Requested: r.Requested,
		Requester: r.Requester, Trigger: r.Trigger, Commit: r.Commit, Artifact: r.Artifact,
	}
}

// listNewest shows the newest build of each object, as existing clients expect.
func (h *handler) listNewest(w http.ResponseWriter, c *call) error {
	runs, err := h.readable(c, build.Target{})
	if err != nil {
		return err
	}
	seen := map[build.Target]bool{}
	list := []Build{}
	for _, r := range runs {
		if !seen[r.Target] {
			seen[r.Target] = true
			list = append(list, show(r))
		}
	}
	return reply(w, http.StatusOK, list)
}

// listBuilds shows builds, the newest first, of one object if application and
// device are given in the query.
func (h *handler) listBuilds(w http.ResponseWriter, c *call) error {
	query := c.URL.Query()
	target := build.Target{Application: query.Get("application"), Device: query.Get("device")}
	if target != (build.Target{}) {
		if err := target.Validate(); err != nil {
			return err
		}
	}
	limit := defaultLimit
	if s := query.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return problem(http.StatusBadRequest, "InvalidRequest", "The parameter limit is no number: use 0 or more")
		}
		limit = n
	}
	runs, err := h.readable(c, target)
	if err != nil {
		return err
	}
	list := []Build{}
	for _, r := range runs[:min(limit, len(runs))] {
		list = append(list, show(r))
	}
	return reply(w, http.StatusOK, list)
}

// readable returns the builds of the applications that the caller may read, the
// newest first.
func (h *handler) readable(c *call, t build.Target) ([]build.Run, error) {
	names, err := h.registry.ApplicationsAs(c.Context(), c.principal.Token)
	if err != nil {
		return nil, err
	}
	runs, err := h.runs.List(c.Context(), t)
	if err != nil {
		return nil, err
	}
	runs = slices.DeleteFunc(runs, func(r build.Run) bool { return !slices.Contains(names, r.Target.Application) })
	slices.SortFunc(runs, func(a, b build.Run) int {
		if a.After(b) {
			return -1
		}
		return 1
	})
	return runs, nil
}

// find returns the build of the path, if the caller may read its application.
func (h *handler) find(c *call) (build.Run, error) {
	if !build.ValidID(c.id) {
		return build.Run{}, build.ErrNotFound
	}
	run, err := h.runs.Get(c.Context(), c.id)
	if err != nil {
		return run, err
	}
	_, err = h.registry.FirmwareAs(c.Context(), c.principal.Token, build.Target{Application: run.Target.Application})
	if errors.Is(err, build.ErrNoObject) || errors.Is(err, build.ErrForbidden) || errors.Is(err, build.ErrUnauthenticated) {
		return build.Run{}, build.ErrNotFound // as if there were none
	}
	return run, err
}

func (h *handler) getBuild(w http.ResponseWriter, c *call) error {
	run, err := h.find(c)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, show(run))
}

// getLog sends what the steps of a build printed, as plain text, and goes on
// until the end of the build if the query has follow=true.
func (h *handler) getLog(w http.ResponseWriter, c *call) error {
	if _, err := h.find(c); err != nil {
		return err
	}
	follow, err := strconv.ParseBool(c.URL.Query().Get("follow"))
	if err != nil && c.URL.Query().Has("follow") {
		return problem(http.StatusBadRequest, "InvalidRequest", "The parameter follow is neither true nor false")
	}
	// The log outlives the ordinary limits of an answer.
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	if err := h.runs.Log(c.Context(), c.id, flushing{w, control}, follow); err != nil && c.Context().Err() == nil {
		h.Log.WarnContext(c.Context(), "log is incomplete", "build", c.id, "error", err)
		panic(http.ErrAbortHandler) // so that the client sees that it is
	}
	return nil
}

// flushing sends each piece at once.
type flushing struct {
	io.Writer
	control *http.ResponseController
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	return n, errors.Join(err, f.control.Flush())
}

// publishAgain asks for what a build has made to be published without compiling it again.
func (h *handler) publishAgain(w http.ResponseWriter, c *call) error {
	if err := h.mayTrigger(c); err != nil {
		return err
	}
	run, err := h.find(c)
	if err != nil {
		return err
	}
	if err := h.enabled(run.Target); err != nil {
		return err
	}
	c.target = run.Target
	id, err := h.newID(c)
	if err != nil {
		return err
	}
	if _, err := build.PublicationOf(run); err != nil {
		return problem(http.StatusConflict, "Conflict", "Nothing can be published: "+err.Error())
	}
	return h.request(w, c, build.Request{
		ID: id, Target: run.Target, Description: run.Description, DescriptionHash: run.DescriptionHash, Trigger: build.TriggerPublish, Publishes: run.ID,
	})
}

// cancelBuild asks for the end of a build.
func (h *handler) cancelBuild(w http.ResponseWriter, c *call) error {
	if err := h.mayTrigger(c); err != nil {
		return err
	}
	run, err := h.find(c)
	if err != nil {
		return err
	}
	if !run.Active() {
		return problem(http.StatusConflict, "Conflict", "The build has ended already")
	}
	ev, err := event.Cancelled(event.SourceAPI, run.Target, h.Clock(), build.Cancellation{ID: run.ID, Requester: c.principal.Name})
	if err != nil {
		return err
	}
	if err := h.sender.Send(c.Context(), ev); err != nil {
		return err
	}
	h.Log.InfoContext(c.Context(), "cancellation requested", "build", run.ID, "requester", c.principal.Subject)
	return accepted(w, c, run.ID, run.Target)
}
