// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Object is an application or a device as the API shows it: what is described, built and run. It has
// nothing else of the Drogue object, whose spec may have passwords (contract 1.2).
type Object struct {
	Name string `json:"name"`
	// Application is that of a device.
	Application string            `json:"application,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	// Kind is where the firmware is delivered from: "container", "oci" or "hawkbit"; empty for no
	// firmware at all.
	Kind string `json:"kind,omitempty"`
	// Inherits reports that a device has no description of its own: what follows is that of its
	// application.
	Inherits bool `json:"inherits,omitempty"`
	// Builds reports whether it is described how the firmware is built, be that right or wrong.
	Builds bool `json:"builds"`
	// Hash is that of the description, see [build.Description.Hash]; empty if that is wrong.
	Hash string `json:"hash,omitempty"`
	// Violations say what is wrong with the description.
	Violations []build.Violation `json:"violations,omitempty"`
	// OutOfDate reports that the description has changed since it was built, or was never built.
	OutOfDate bool `json:"outOfDate"`
	// Newest is the newest build; nil if there is none.
	Newest *Build `json:"newest,omitempty"`
	// Drift is that of a device.
	Drift *build.Drift `json:"drift,omitempty"`
	// Firmware is the section spec.firmware as it is, and Description its normalized form. They are
	// there for a single object.
	Firmware    json.RawMessage    `json:"firmware,omitempty"`
	Description *build.Description `json:"description,omitempty"`
	Warnings    []build.Violation  `json:"warnings,omitempty"`
}

// view is what is known of an object that has a description.
type view struct {
	ref         build.ObjectRef
	firmware    json.RawMessage
	description build.Description
	record      build.Record
	shown       Object
}

// view looks at an object by itself.
func (h *handler) view(ref build.ObjectRef, o build.Object) view {
	v := view{ref: ref, firmware: o.Firmware(), record: build.RecordOf(o, h.Clock())}
	v.shown = Object{
		Name: cmp.Or(ref.Device, ref.Application), Labels: o.Labels(), Kind: build.Kind(v.firmware),
		Builds: build.Describes(v.firmware),
	}
	if ref.Device != "" {
		v.shown.Application = ref.Application
	}
	d, err := h.Policy.Parse(v.firmware, ref)
	var wrong *build.InvalidError
	switch {
	case errors.As(err, &wrong):
		v.shown.Violations = wrong.Violations
	case err == nil:
		v.description, v.shown.Hash = d, d.Hash()
	}
	runs := h.state.List(build.Query{Object: ref})
	runs = slices.DeleteFunc(runs, func(r build.Run) bool { return !build.SameUID(r.UIDs.Of(), o.UID()) })
	v.shown.Newest = h.newestOf(ref, runs, v.record)
	v.shown.OutOfDate = v.shown.Hash != "" && !slices.ContainsFunc(runs, func(r build.Run) bool {
		return r.Cause.OfDescription() && r.DescriptionHash == v.shown.Hash &&
			!slices.ContainsFunc(runs, func(o build.Run) bool {
				return o.Cause.OfDescription() && o.Compare(r) > 0
			})
	})
	return v
}

// newestOf is the newest build of an object, or the one that its record has if that never had a run.
func (h *handler) newestOf(ref build.ObjectRef, runs []build.Run, record build.Record) *Build {
	if record.Build != "" && record.Reason.Rejects() && record.Started.IsZero() {
		r := record.Run()
		r.Object = ref
		if !slices.ContainsFunc(runs, func(o build.Run) bool { return o.Compare(r) >= 0 }) {
			runs = append(runs, r)
		}
	}
	if len(runs) == 0 {
		return nil
	}
	newest := slices.MaxFunc(runs, build.Run.Compare)
	b := h.shown(&newest)
	return &b
}

// device looks at a device. One without a description of its own is delivered what its application
// describes (A9).
func (h *handler) device(ref build.ObjectRef, o build.Object, application view) Object {
	v := h.view(ref, o)
	d := v.shown
	described, record := v.description, v.record
	if v.firmware == nil && application.firmware != nil {
		d = application.shown
		d.Name, d.Application, d.Labels, d.Inherits = v.shown.Name, ref.Application, v.shown.Labels, true
		described, record = application.description, application.record
	}
	d.Drift = new(build.DriftOf(o, described, record))
	return d
}

// whole adds what is shown of a single object.
func (v view) whole() Object {
	o := v.shown
	o.Firmware = v.firmware
	if o.Hash != "" {
		o.Description, o.Warnings = &v.description, v.description.Warnings
	}
	return o
}

// listApps shows the applications that the caller may read, in the order of their names.
func (h *handler) listApps(w http.ResponseWriter, c *call) error {
	list := []Object{}
	err := h.registry.EachApplicationAs(
		c.Context(), c.principal.Token, c.query.Get("labels"), func(ref build.ObjectRef, o build.Object) error {
			list = append(list, h.view(ref, o).shown)
			return nil
		},
	)
	if err != nil {
		return asSelector(err, c)
	}
	slices.SortFunc(list, func(a, b Object) int { return cmp.Compare(a.Name, b.Name) })
	return reply(w, http.StatusOK, list)
}

// asSelector says that a label selector is wrong, if that is why the registry refuses a list.
func asSelector(err error, c *call) error {
	if c.query.Has("labels") && errors.Is(err, build.ErrRejected) {
		return invalid("The parameter labels is no label selector: write it like key=value,!other")
	}
	return err
}

// getApp shows one application.
func (h *handler) getApp(w http.ResponseWriter, c *call) error {
	_, v, err := h.application(c)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", tagOf(v.firmware))
	return reply(w, http.StatusOK, v.whole())
}

// application reads the application of a call.
func (h *handler) application(c *call) (build.Object, view, error) {
	ref := build.ObjectRef{Application: c.object.Application}
	if err := ref.Validate(); err != nil {
		return nil, view{}, err
	}
	o, err := h.registry.ObjectAs(c.Context(), c.principal.Token, ref)
	if err != nil {
		return nil, view{}, err
	}
	return o, h.view(ref, o), nil
}

// getDevice shows one device, which the parameter name names: browsers cannot have every name in a path.
func (h *handler) getDevice(w http.ResponseWriter, c *call) error {
	ref, err := c.namedDevice()
	if err != nil {
		return err
	}
	_, application, err := h.application(c)
	if err != nil {
		return err
	}
	o, err := h.registry.ObjectAs(c.Context(), c.principal.Token, ref)
	if err != nil {
		return err
	}
	d, v := h.device(ref, o, application), h.view(ref, o)
	own := v.whole()
	d.Firmware, d.Description, d.Warnings = own.Firmware, own.Description, own.Warnings
	if d.Inherits {
		d.Description = application.whole().Description
	}
	w.Header().Set("ETag", tagOf(v.firmware))
	return reply(w, http.StatusOK, d)
}

// namedDevice is the device that the parameter name names.
func (c *call) namedDevice() (build.ObjectRef, error) {
	ref := build.ObjectRef{Application: c.object.Application, Device: c.query.Get("name")}
	if ref.Device == "" {
		return ref, invalid("The parameter name is missing: it is the name of the device")
	}
	return ref, ref.Validate()
}
