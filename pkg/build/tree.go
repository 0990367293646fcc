// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import "encoding/json"

// object expects a JSON object.
func (r *reader) object(v any, at string) (map[string]any, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		r.fail(at, "is %s: write an object", kindOf(v))
	}
	return m, ok
}

// child expects a member that is an object.
func (r *reader) child(m map[string]any, key, at string) (map[string]any, bool) {
	v, ok := m[key]
	if !ok || v == nil {
		r.fail(at+"."+key, "is missing")
		return nil, false
	}
	return r.object(v, at+"."+key)
}

// list expects an array of at most limit entries, or nothing.
func (r *reader) list(v any, at string, limit int) ([]any, bool) {
	if v == nil {
		return nil, false
	}
	list, ok := v.([]any)
	if !ok {
		r.fail(at, "is %s: write a list", kindOf(v))
		return nil, false
	}
	if len(list) > limit {
		r.fail(at, "has %d entries: use at most %d", len(list), limit)
		return nil, false
	}
	return list, true
}

// text expects a string member; an absent one reads as "".
func (r *reader) text(m map[string]any, key, at string, required bool) string {
	v, ok := m[key]
	if !ok || v == nil {
		if required {
			r.fail(at+"."+key, "is missing: write a string")
		}
		return ""
	}
	s, ok := v.(string)
	switch {
	case !ok:
		r.fail(at+"."+key, "is %s: write a string", kindOf(v))
	case s == "" && required:
		r.fail(at+"."+key, "is empty: write a value")
	}
	return s
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number, float64:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}
