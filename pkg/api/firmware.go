// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/drogue-iot/ajour/pkg/build"
)

// tagOf is the ETag of a section spec.firmware.
func tagOf(section json.RawMessage) string { return `"` + build.SectionHash(section) + `"` }

// putAppFirmware replaces the section spec.firmware of an application.
func (h *handler) putAppFirmware(w http.ResponseWriter, c *call) error {
	ref := build.ObjectRef{Application: c.object.Application}
	if err := ref.Validate(); err != nil {
		return err
	}
	return h.putFirmware(w, c, ref, func() error { return h.getApp(w, c) })
}

// putDeviceFirmware replaces the section spec.firmware of the device that the parameter name names.
func (h *handler) putDeviceFirmware(w http.ResponseWriter, c *call) error {
	ref, err := c.namedDevice()
	if err != nil {
		return err
	}
	return h.putFirmware(w, c, ref, func() error { return h.getDevice(w, c) })
}

// putFirmware replaces the section spec.firmware of an object by the body, JSON or YAML, with the
// caller's own rights, and nothing else of the object. With If-Match it does so only if the section is
// still the one of that ETag. With dry-run it only says what is wrong. One that is wrong is not written.
func (h *handler) putFirmware(w http.ResponseWriter, c *call, ref build.ObjectRef, show func() error) error {
	c.object = ref
	dry, err := c.flag("dry-run")
	if err != nil {
		return err
	}
	if dry { // which is no action
		c.action = ""
	}
	body, err := c.read(w)
	if err != nil {
		return err
	}
	section, err := sectionIn(body)
	if err != nil {
		return err
	}
	if _, err := h.describe(section, ref); err != nil && !errors.Is(err, build.ErrNoBuild) {
		return err
	}
	change := func(o build.Object) (json.RawMessage, error) {
		if sameJSON(section, o.Firmware()) { // perhaps by a call of which the answer was lost
			return o.Firmware(), nil
		}
		if !matches(c.Header.Values("If-Match"), o.Firmware()) {
			return nil, problem(http.StatusPreconditionFailed, "PreconditionFailed",
				"The description has changed since you read it: read it, and make your change once more")
		}
		if dry {
			return o.Firmware(), h.writes(c, ref)
		}
		return section, nil
	}
	err = h.registry.SetFirmwareAs(c.Context(), c.principal.Token, ref, change)
	switch {
	case errors.Is(err, build.ErrForbidden) || errors.Is(err, build.ErrNoObject):
		// To a caller who may only read, a device that is written is not there.
		if _, readable := h.registry.ObjectAs(c.Context(), c.principal.Token, ref); readable == nil {
			return problem(http.StatusForbidden, "Forbidden", "You may read "+ref.String()+
				", and not write it: ask for the role manager in its application")
		}
		return err
	case errors.Is(err, build.ErrTooLarge):
		return problem(http.StatusRequestEntityTooLarge, "PayloadTooLarge", "The object has no room for the description")
	case errors.Is(err, build.ErrRejected):
		return problem(http.StatusUnprocessableEntity, "Rejected", "The Drogue registry does not take the description")
	case err != nil:
		return err
	default:
		return show()
	}
}

// sectionIn reads a section spec.firmware, JSON or YAML.
func sectionIn(body []byte) (json.RawMessage, error) {
	section, err := toJSON(body)
	if err != nil {
		return nil, err
	}
	var members map[string]any
	switch {
	case json.Unmarshal(section, &members) != nil || members == nil:
		return nil, invalid("The body is no section spec.firmware: write an object with container, oci or hawkbit in it")
	case hasNUL(members): // to which the registry answers for ever that it is away
		return nil, invalid("The body has the character U+0000 in it, which the registry does not store: remove it")
	case json.Valid(body): // whose numbers stay as they are written
		return body, nil
	default:
		return section, nil
	}
}

// hasNUL reports whether a text in a value has a NUL.
func hasNUL(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.ContainsRune(v, 0)
	case []any:
		return slices.ContainsFunc(v, hasNUL)
	case map[string]any:
		for name, value := range v {
			if strings.ContainsRune(name, 0) || hasNUL(value) {
				return true
			}
		}
	}
	return false
}

// matches reports whether a section is one of those that If-Match names (RFC 9110, section 13.1.1); any
// is if the header is not there.
func matches(header []string, section json.RawMessage) bool {
	if len(header) == 0 {
		return true
	}
	return slices.ContainsFunc(strings.Split(strings.Join(header, ","), ","), func(s string) bool {
		s = strings.TrimSpace(s)
		return s == "*" || s == tagOf(section)
	})
}

// sameJSON compares by value: the registry orders members its own way.
func sameJSON(a, b json.RawMessage) bool {
	normal := func(raw json.RawMessage) string {
		text, err := yaml.JSONToYAML(raw)
		if err != nil {
			return string(raw)
		}
		return string(text)
	}
	return b != nil && normal(a) == normal(b)
}
