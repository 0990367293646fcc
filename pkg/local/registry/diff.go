// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// diff lists the paths that differ between the stored and the new object, in
// the order in which events are sent (contract 3.5).
func diff(old, next *object) []string {
	var paths []string
	if !maps.Equal(old.Labels, next.Labels) || !maps.Equal(old.Annotations, next.Annotations) ||
		!slices.Equal(old.Finalizers, next.Finalizers) {
		paths = append(paths, ".metadata")
	}
	paths = append(paths, diffSections(".spec.", old.Spec, next.Spec, next.specOrder)...)
	return append(paths, diffSections(".status.", old.Status, next.Status, next.statusOrder)...)
}

func diffSections(prefix string, old, next map[string]json.RawMessage, order []string) []string {
	var paths []string
	for _, key := range columnOrder(old) {
		value, ok := next[key]
		if !ok || !bytes.Equal(value, old[key]) {
			paths = append(paths, prefix+key)
		}
	}
	for _, key := range order {
		if _, ok := old[key]; !ok {
			paths = append(paths, prefix+key)
		}
	}
	return paths
}
