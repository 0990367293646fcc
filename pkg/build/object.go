// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"encoding/json"
	"slices"
)

// Object is the part of a Drogue object that matters here.
type Object interface {
	// UID returns metadata.uid.
	UID() string
	// Labels returns metadata.labels.
	Labels() map[string]string
	// Firmware returns the section spec.firmware, nil if there is none.
	Firmware() json.RawMessage
	// Status returns a section of the status, nil if there is none.
	Status(section string) json.RawMessage
	// SetStatus replaces a section of the status, or removes it if the value is nil.
	SetStatus(section string, value json.RawMessage)
}

// DevicesPage says which devices of an application are read.
type DevicesPage struct {
	Application string
	// Labels is a label selector in the form of the registry (contract 1.9); all devices if empty.
	Labels string
	// Limit is how many are read at most, after Offset others.
	Limit, Offset int
}

// Listed is what a list of objects tells of one.
type Listed struct {
	Object ObjectRef
	UID    string
	// Described reports whether its firmware can be built: see [Describes].
	Described bool
}

// Kind returns where a section spec.firmware has firmware delivered from: "container", "oci", "hawkbit"
// or "file"; empty if it does not say so.
func Kind(section json.RawMessage) string {
	var kinds map[string]json.RawMessage
	if json.Unmarshal(section, &kinds) != nil {
		return ""
	}
	for _, kind := range []string{"container", "oci", "hawkbit", "file"} {
		if _, ok := kinds[kind]; ok {
			return kind
		}
	}
	return ""
}

// Describes reports whether a section spec.firmware says how the firmware is built, be that
// right or wrong.
func Describes(section json.RawMessage) bool {
	var kinds map[string]json.RawMessage
	if json.Unmarshal(section, &kinds) != nil {
		return false
	}
	return slices.ContainsFunc([]string{"container", "oci", "hawkbit"}, func(kind string) bool {
		var block struct {
			Build any `json:"build"`
		}
		return json.Unmarshal(kinds[kind], &block) == nil && block.Build != nil
	})
}
