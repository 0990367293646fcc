// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// publish reads the second place that an artifact goes to. It stands inside of the
// build, where delivery ignores it (contract 5.2).
func (r *reader) publish(d *Description, b map[string]any, at string) {
	if b["publish"] == nil {
		return
	}
	more, ok := r.object(b["publish"], at)
	if !ok {
		return
	}
	for _, kind := range slices.Sorted(maps.Keys(more)) {
		switch {
		case kind == "hawkbit" && d.Registry != Hawkbit:
			if h, ok := r.child(more, kind, at); ok {
				d.Controller = r.controller(r.text(h, "controller", at+".hawkbit", true), at+".hawkbit.controller")
			}
		case kind == "container" && d.Registry != OCI, kind == "oci" && d.Registry != OCI:
			if c, ok := r.child(more, kind, at); ok && len(more) == 1 {
				d.Image = r.image(r.text(c, "image", at+"."+kind, true), at+"."+kind+".image")
			}
		case kind == "hawkbit", kind == "container", kind == "oci":
			r.fail(at+"."+kind, "is where the firmware goes anyway: remove it")
		default:
			r.fail(at+"."+quote(kind), "is no place to publish to: write \"container\" or \"hawkbit\"")
		}
	}
	if len(more) > 1 {
		r.fail(at, "has more than one place: keep one")
	}
}

// sizes are the units of a size, as Kubernetes writes them.
var sizes = []struct {
	unit  string
	bytes int64
}{{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"", 1}}

// size reads a number of bytes, or text such as "256Ki".
func (r *reader) size(v any, at string) int64 {
	var s string
	switch v := v.(type) {
	case nil:
		return 0
	case json.Number:
		s = v.String()
	case string:
		s = v
	}
	for _, u := range sizes {
		digits, ok := strings.CutSuffix(s, u.unit)
		if n, err := strconv.ParseInt(digits, 10, 64); ok && err == nil && n > 0 && n <= maxSize/u.bytes {
			return n * u.bytes
		}
	}
	r.fail(at, "is no size: write a number of bytes up to 4Gi, or one like \"256Ki\"")
	return 0
}

func (r *reader) attachments(v any, at string) (paths []string) {
	list, ok := r.list(v, at, maxAttachments)
	if !ok {
		return nil
	}
	for i, item := range list {
		at := fmt.Sprintf("%s[%d]", at, i)
		s, ok := item.(string)
		if !ok || s == "" {
			r.fail(at, "is %s: write the path of a file", kindOf(item))
			continue
		}
		if p := r.artifact(s, at); !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	return paths
}
