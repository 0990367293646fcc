// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// maxKey bounds an Idempotency-Key.
const maxKey = 255

// Accepted is the answer to a trigger and to a cancellation.
type Accepted struct {
	ID          string `json:"id"`
	Application string `json:"application"`
	Device      string `json:"device,omitempty"`
	// Location is the path at which the build can be watched, once its run exists.
	Location string `json:"location"`
	// Warnings say what of the description is not read, or not delivered.
	Warnings []string `json:"warnings,omitempty"`
}

// trigger asks for a build of exactly the object in the path: a device without a
// description of its own is not built with its application's (A8, A9). A
// description that is wrong is reported to the caller and on the object.
func (h *handler) trigger(w http.ResponseWriter, c *call) error {
	if c.device && c.object.Device == "" { // it would be the application
		return invalid("The name of the device is empty")
	}
	return h.ask(w, c, "")
}

// Wanted is the body of a call that asks for a build. Browsers have to use it for some devices: a
// URL with a segment ".." is one of a different path to them.
type Wanted struct {
	Application string `json:"application"`
	Device      string `json:"device"`
	// Rev is a branch, a tag or a commit to build; empty for that of the description.
	Rev string `json:"rev"`
}

// triggerByBody is like trigger, of the object that the body names.
func (h *handler) triggerByBody(w http.ResponseWriter, c *call) error {
	var wanted Wanted
	if err := c.decode(w, &wanted); err != nil {
		return err
	}
	c.object = build.ObjectRef{Application: wanted.Application, Device: wanted.Device}
	if err := build.CheckRevision(wanted.Rev); err != nil {
		return invalid("The member rev: %v", err)
	}
	return h.ask(w, c, wanted.Rev)
}

// ask asks for a build of a revision of the object of a call, that of its description if it is empty.
func (h *handler) ask(w http.ResponseWriter, c *call, revision string) error {
	if err := h.hasRole(c); err != nil {
		return err
	}
	if err := c.object.Validate(); err != nil {
		return err
	}
	if err := h.enabled(c.object); err != nil {
		return err
	}
	mayWrite, readable := h.mayWrite(c), h.readable(c)
	o, err := h.registry.ObjectAs(c.Context(), c.principal.Token, c.object)
	if err != nil {
		return err
	}
	if err := cmp.Or(<-mayWrite, <-readable); err != nil {
		return err
	}
	id, err := h.newID(c, o.UID())
	if err != nil {
		return err
	}
	if err := h.admitBuild(c); err != nil {
		return err
	}
	d, err := h.describe(o.Firmware(), c.object)
	if p := (*Problem)(nil); errors.As(err, &p) {
		return h.reject(c, id, p, o.Firmware())
	}
	if err != nil {
		return err
	}
	ev, err := event.Requested(event.SourceAPI, build.Request{
		ID: id, Object: c.object, DescriptionHash: d.Hash(), Revision: revision, Cause: build.CauseAPI,
		Requester: c.principal.Name, Time: c.at,
	})
	if err != nil {
		return err
	}
	return h.request(w, c, ev, Accepted{ID: id, Warnings: d.WarningLines()})
}

// request sends an event that asks for a build, and answers that it is accepted.
func (h *handler) request(w http.ResponseWriter, c *call, ev cloudevents.Event, a Accepted) error {
	if err := h.sender.Send(c.Context(), ev); err != nil {
		return err
	}
	c.build = a.ID
	return accepted(w, c, c.object, a)
}

// enabled refuses an application that the installation does not build (A26).
func (h *handler) enabled(o build.ObjectRef) error {
	if !h.builds(o) {
		return problem(http.StatusForbidden, "Forbidden", "Builds of this application are not enabled on this installation")
	}
	return nil
}

// builds reports whether the installation builds an application.
func (h *handler) builds(o build.ObjectRef) bool {
	return len(h.Applications) == 0 || slices.Contains(h.Applications, o.Application)
}

// describe reads a section into a description, or a problem that tells what is
// wrong with it.
func (h *handler) describe(section json.RawMessage, o build.ObjectRef) (build.Description, error) {
	d, err := h.Policy.Parse(section, o)
	var invalid *build.InvalidError
	if errors.As(err, &invalid) {
		p := problem(http.StatusUnprocessableEntity, string(build.ReasonInvalidBuildSpec), invalid.Error())
		p.Violations = invalid.Violations
		return d, p
	}
	return d, err
}

// reject tells the status service that a build was refused, so that the object
// itself says why, and answers the problem.
func (h *handler) reject(c *call, id string, p *Problem, section json.RawMessage) error {
	// With an Idempotency-Key the id may become a build once the description is
	// corrected; a rejection is not that build.
	id = build.DerivedID("rejected", id)
	ev, err := event.Rejected(event.SourceAPI, build.Rejection{
		ID: id, Object: c.object, Reason: build.ReasonInvalidBuildSpec, Message: build.Clean(p.Detail), Time: c.at,
		Section: build.SectionHash(section),
	})
	if err != nil {
		return err
	}
	if err := h.sender.Send(c.Context(), ev); err != nil {
		return err
	}
	p.Build, c.build = id, id
	return p
}

// newID mints the id of a build. With an Idempotency-Key it follows from the
// caller, the target with its uid and the key, so that a repeated call asks for the same build.
func (h *handler) newID(c *call, uid string) (string, error) {
	key := c.Header.Get("Idempotency-Key")
	switch {
	case key == "":
		return h.NewID(), nil
	case len(key) > maxKey:
		return "", problem(
			http.StatusBadRequest, "InvalidRequest",
			"The header Idempotency-Key is too long: use at most 255 characters",
		)
	default:
		parts := []string{"key", c.principal.Subject, c.object.Hash(), uid, key}
		if c.id != "" { // of the build that is republished or rerun
			parts = append(parts, c.action, c.id)
		}
		return build.DerivedID(parts...), nil
	}
}

// accepted answers what was accepted for an object, and where the build can be watched.
func accepted(w http.ResponseWriter, c *call, o build.ObjectRef, a Accepted) error {
	a.Application, a.Device, a.Location = o.Application, o.Device, c.prefix+"/builds/"+a.ID
	w.Header().Set("Location", a.Location)
	w.Header().Set("Retry-After", "1")
	return reply(w, http.StatusAccepted, a)
}
