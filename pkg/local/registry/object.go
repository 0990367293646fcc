// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// object is an application, or a device if Application is set.
type object struct {
	Application     string
	Name            string
	UID             string
	Created         time.Time
	Generation      uint64
	ResourceVersion string
	Deleted         time.Time
	Finalizers      []string
	Labels          map[string]string
	Annotations     map[string]string
	Spec            map[string]json.RawMessage
	Status          map[string]json.RawMessage

	// specOrder and statusOrder are the sections in the order of the request.
	specOrder, statusOrder []string
}

// errText is an error whose text is the answer, as plain text with 400.
type errText string

func (e errText) Error() string { return string(e) }

// decodeObject reads a request body. Which metadata keys exist depends on the
// kind; unknown ones are refused there and ignored at the top (contract 1.2).
func decodeObject(body []byte, device bool) (*object, error) {
	if err := checkJSON(body); err != nil {
		return nil, jsonError(err)
	}
	top, err := members(body)
	if err != nil {
		return nil, jsonError(err)
	}
	o := &object{}
	seen := map[string]bool{}
	for _, m := range top {
		if m.key != "metadata" && m.key != "spec" && m.key != "status" {
			continue
		}
		if seen[m.key] {
			return nil, jsonError(fmt.Errorf("duplicate field `%s`", m.key))
		}
		seen[m.key] = true
		switch m.key {
		case "metadata":
			err = o.decodeMetadata(m.raw, device)
		case "spec":
			o.Spec, o.specOrder, err = decodeSections(m.raw)
		case "status":
			o.Status, o.statusOrder, err = decodeSections(m.raw)
		}
		if err != nil {
			return nil, jsonError(err)
		}
	}
	if !seen["metadata"] {
		return nil, jsonError(errors.New("missing field `metadata`"))
	}
	return o, nil
}

func jsonError(err error) error {
	return errText("Json deserialize error: " + err.Error() + " at line 1 column 1")
}

var metadataKeys = []string{
	"name",
	"uid",
	"creationTimestamp",
	"generation",
	"resourceVersion",
	"deletionTimestamp",
	"finalizers",
	"labels",
	"annotations",
}

func (o *object) decodeMetadata(raw json.RawMessage, device bool) error {
	known := metadataKeys
	if device {
		known = append([]string{"application"}, known...)
	}
	list, err := members(raw)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, m := range list {
		if !slices.Contains(known, m.key) {
			return fmt.Errorf("unknown field `%s`, expected one of `%s`", m.key, strings.Join(known, "`, `"))
		}
		if seen[m.key] {
			return fmt.Errorf("duplicate field `%s`", m.key)
		}
		seen[m.key] = true
		if err := o.decodeField(m); err != nil {
			return err
		}
	}
	for _, key := range []string{"application", "name"} {
		if slices.Contains(known, key) && !seen[key] {
			return fmt.Errorf("missing field `%s`", key)
		}
	}
	return nil
}

func (o *object) decodeField(m member) error {
	null := bytes.Equal(m.raw, []byte("null"))
	if null && m.key == "deletionTimestamp" {
		return nil
	}
	var into any
	want := "a string"
	switch m.key {
	case "application":
		into = &o.Application
	case "name":
		into = &o.Name
	case "uid":
		into = &o.UID
	case "resourceVersion":
		into = &o.ResourceVersion
	case "creationTimestamp", "deletionTimestamp":
		into, want = &time.Time{}, "a formatted date and time string or a unix timestamp"
	case "generation":
		into, want = &o.Generation, "u64"
	case "finalizers":
		into, want = &o.Finalizers, "a sequence"
	case "labels":
		into, want = &o.Labels, "a map"
	case "annotations":
		into, want = &o.Annotations, "a map"
	}
	if want == "a map" && !null {
		return decodeTexts(m.raw, into)
	}
	if null {
		return fmt.Errorf("invalid type: null, expected %s", want)
	}
	if err := json.Unmarshal(m.raw, into); err != nil {
		return fmt.Errorf("invalid type: %s, expected %s", kind(m.raw), want)
	}
	return nil
}

// decodeTexts reads a map of strings, and names a value that is none.
func decodeTexts(raw json.RawMessage, into any) error {
	list, err := members(raw)
	if err != nil {
		return err
	}
	for _, m := range list {
		if !bytes.HasPrefix(m.raw, []byte(`"`)) {
			return fmt.Errorf("invalid type: %s, expected a string", kind(m.raw))
		}
	}
	return json.Unmarshal(raw, into)
}

func decodeSections(raw json.RawMessage) (map[string]json.RawMessage, []string, error) {
	if kind(raw) == "null" {
		return nil, nil, errors.New("invalid type: null, expected a map")
	}
	list, err := members(raw)
	if err != nil {
		return nil, nil, err
	}
	sections := make(map[string]json.RawMessage, len(list))
	var order []string
	for _, m := range list {
		value, err := canonical(m.raw)
		if err != nil {
			return nil, nil, err
		}
		if _, seen := sections[m.key]; !seen {
			order = append(order, m.key)
		}
		sections[m.key] = value
	}
	return sections, order, nil
}

// MarshalJSON writes the object as the registry does: members in its order,
// empty ones left out.
func (o *object) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	meta, err := json.Marshal(struct {
		Application     string            `json:"application,omitempty"`
		Name            string            `json:"name"`
		UID             string            `json:"uid"`
		Created         string            `json:"creationTimestamp"`
		Generation      uint64            `json:"generation"`
		ResourceVersion string            `json:"resourceVersion"`
		Deleted         string            `json:"deletionTimestamp,omitempty"`
		Finalizers      []string          `json:"finalizers,omitempty"`
		Labels          map[string]string `json:"labels,omitempty"`
		Annotations     map[string]string `json:"annotations,omitempty"`
	}{
		o.Application, o.Name, o.UID, stamp(o.Created), o.Generation, o.ResourceVersion, stamp(o.Deleted),
		o.Finalizers, o.Labels, o.Annotations,
	})
	if err != nil {
		return nil, err
	}
	out.WriteString(`{"metadata":`)
	out.Write(meta)
	for _, part := range []struct {
		name     string
		sections map[string]json.RawMessage
	}{{"spec", o.Spec}, {"status", o.Status}} {
		if len(part.sections) == 0 {
			continue
		}
		out.WriteString(`,"` + part.name + `":{`)
		for i, key := range columnOrder(part.sections) {
			if i > 0 {
				out.WriteByte(',')
			}
			text(&out, key)
			out.WriteByte(':')
			out.Write(part.sections[key])
		}
		out.WriteByte('}')
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}

// UnmarshalJSON reads what MarshalJSON wrote: the store keeps objects in the
// form in which they are shown.
func (o *object) UnmarshalJSON(data []byte) error {
	var wire struct {
		Metadata struct {
			Application       string            `json:"application"`
			Name              string            `json:"name"`
			UID               string            `json:"uid"`
			CreationTimestamp time.Time         `json:"creationTimestamp"`
			Generation        uint64            `json:"generation"`
			ResourceVersion   string            `json:"resourceVersion"`
			DeletionTimestamp time.Time         `json:"deletionTimestamp"`
			Finalizers        []string          `json:"finalizers"`
			Labels            map[string]string `json:"labels"`
			Annotations       map[string]string `json:"annotations"`
		} `json:"metadata"`
		Spec   map[string]json.RawMessage `json:"spec"`
		Status map[string]json.RawMessage `json:"status"`
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	m := wire.Metadata
	*o = object{
		Application: m.Application, Name: m.Name, UID: m.UID, Created: m.CreationTimestamp, Generation: m.Generation,
		ResourceVersion: m.ResourceVersion, Deleted: m.DeletionTimestamp, Finalizers: m.Finalizers, Labels: m.Labels,
		Annotations: m.Annotations, Spec: wire.Spec, Status: wire.Status,
	}
	return nil
}
