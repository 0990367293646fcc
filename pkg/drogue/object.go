// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package drogue

import (
	"encoding/json"
	"fmt"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Object is an application or a device as the registry holds it. Values keep
// their text: copying a number as received is always stable (N3).
type Object struct {
	top      map[string]json.RawMessage
	metadata map[string]json.RawMessage
	spec     map[string]json.RawMessage
	status   map[string]json.RawMessage
	// described says that spec is not as it was read.
	described bool
}

// ParseObject reads the JSON form of an application or a device.
func ParseObject(data []byte) (*Object, error) {
	o := &Object{}
	if err := json.Unmarshal(data, &o.top); err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	sections := map[string]*map[string]json.RawMessage{"metadata": &o.metadata, "spec": &o.spec, "status": &o.status}
	for name, into := range sections {
		if raw, ok := o.top[name]; ok {
			if err := json.Unmarshal(raw, into); err != nil {
				return nil, fmt.Errorf("read %s of object: %w", name, err)
			}
		}
	}
	if o.status == nil {
		o.status = map[string]json.RawMessage{}
	}
	if o.name() == "" {
		return nil, fmt.Errorf("read object: it has no name")
	}
	return o, nil
}

// MarshalJSON returns the object for a PUT: all that was read, with the uid and
// resourceVersion that guard the write, and the status and the description as they are now.
func (o *Object) MarshalJSON() ([]byte, error) {
	top := make(map[string]any, len(o.top)+1)
	for key, value := range o.top {
		top[key] = value
	}
	delete(top, "status")
	if len(o.status) > 0 {
		top["status"] = o.status
	}
	if o.described {
		top["spec"] = o.spec
	}
	return json.Marshal(top)
}

// Ref returns the names of the object.
func (o *Object) Ref() build.ObjectRef {
	if o.text("application") == "" {
		return build.ObjectRef{Application: o.name()}
	}
	return build.ObjectRef{Application: o.text("application"), Device: o.name()}
}

// UID returns metadata.uid.
func (o *Object) UID() string { return o.text("uid") }

// Labels returns metadata.labels.
func (o *Object) Labels() (labels map[string]string) {
	_ = json.Unmarshal(o.metadata["labels"], &labels) // of a different type: none
	return labels
}

// Deleted reports whether the object is waiting for its finalizers to go.
func (o *Object) Deleted() bool { return o.text("deletionTimestamp") != "" }

// Firmware returns the section spec.firmware, nil if there is none.
func (o *Object) Firmware() json.RawMessage { return o.spec["firmware"] }

// SetFirmware replaces the section spec.firmware.
func (o *Object) SetFirmware(section json.RawMessage) {
	if o.spec == nil {
		o.spec = map[string]json.RawMessage{}
	}
	o.spec["firmware"], o.described = section, true
}

// Status returns a section of the status, nil if there is none.
func (o *Object) Status(section string) json.RawMessage { return o.status[section] }

// SetStatus replaces a section of the status, or removes it if the value is nil.
func (o *Object) SetStatus(section string, value json.RawMessage) {
	if value == nil {
		delete(o.status, section)
		return
	}
	o.status[section] = value
}

func (o *Object) name() string { return o.text("name") }

func (o *Object) text(key string) (s string) {
	_ = json.Unmarshal(o.metadata[key], &s) // of a different type: not there
	return s
}
