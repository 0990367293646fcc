// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Validation is what is to be said of a description.
type Validation struct {
	// Valid reports whether it can be built.
	Valid bool `json:"valid"`
	// Description is its normalized form, and Hash what builds of it are compared by; neither is there
	// if it is not valid.
	Description *build.Description `json:"description,omitempty"`
	Hash        string             `json:"hash,omitempty"`
	// Violations say what is wrong with it.
	Violations []build.Violation `json:"violations"`
	// Warnings say what of it is not read, and what the update server does not deliver.
	Warnings []build.Violation `json:"warnings"`
}

// validate says of the description in the body what a build of it would say, and builds nothing. The
// body is a Drogue object or a section spec.firmware, as JSON or YAML.
func (h *handler) validate(w http.ResponseWriter, c *call) error {
	body, err := c.read(w)
	if err != nil {
		return err
	}
	data, err := toJSON(body)
	if err != nil {
		return err
	}
	section, object, err := sectionOf(data)
	if err != nil {
		return err
	}
	named, err := c.named()
	if err != nil {
		return err
	}
	if named != (build.ObjectRef{}) {
		object = named
	}
	policy := h.Policy
	switch {
	case object == (build.ObjectRef{}): // whose names it may use is not known
		policy.Images, policy.Controllers = build.AnyName, build.AnyName
	case object.Validate() != nil:
		return object.Validate()
	}
	v := Validation{Violations: []build.Violation{}, Warnings: []build.Violation{}}
	d, err := policy.Parse(section, object)
	var wrong *build.InvalidError
	switch {
	case errors.As(err, &wrong):
		v.Violations = wrong.Violations
	case errors.Is(err, build.ErrNoBuild):
		v.Violations = []build.Violation{{
			Path: "spec.firmware", Detail: "says nothing of a build: add container.build, or hawkbit.build",
		}}
	case err != nil:
		return err
	default:
		v.Valid, v.Description, v.Hash = true, &d, d.Hash()
		v.Warnings = append(v.Warnings, d.Warnings...)
	}
	return reply(w, http.StatusOK, v)
}

// sectionOf returns the section spec.firmware of a Drogue object, and its names as far as they are
// there. What is no object is taken for the section itself.
func sectionOf(data []byte) (json.RawMessage, build.ObjectRef, error) {
	var o struct {
		Metadata struct {
			Name        string `json:"name"`
			Application string `json:"application"`
		} `json:"metadata"`
		Spec *struct {
			Firmware json.RawMessage `json:"firmware"`
		} `json:"spec"`
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil || members == nil {
		return nil, build.ObjectRef{}, invalid("The body is neither a Drogue object nor a section spec.firmware")
	}
	if _, ok := members["spec"]; !ok {
		return data, build.ObjectRef{}, nil
	}
	if json.Unmarshal(data, &o) != nil || o.Spec == nil {
		return nil, build.ObjectRef{}, invalid("The body is no Drogue object: see its metadata and its spec")
	}
	ref := build.ObjectRef{Application: o.Metadata.Name}
	if o.Metadata.Application != "" {
		ref = build.ObjectRef{Application: o.Metadata.Application, Device: o.Metadata.Name}
	}
	return o.Spec.Firmware, ref, nil
}
