// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/build"
)

// document is what is compared of the OpenAPI document.
type document struct {
	Paths      map[string]map[string]any `json:"paths"`
	Components struct {
		Parameters map[string]parameter `json:"parameters"`
		Schemas    map[string]struct {
			Enum []string `json:"enum"`
		} `json:"schemas"`
	} `json:"components"`
}

type parameter struct {
	Ref  string `json:"$ref"`
	Name string `json:"name"`
	In   string `json:"in"`
}

// TestTheDocumentIsThatOfTheHandlers: it has their operations, with the parameters that they read, and
// the lists that are closed.
func TestTheDocumentIsThatOfTheHandlers(t *testing.T) {
	t.Parallel()
	var d document
	if err := yaml.UnmarshalStrict(api.OpenAPI, &map[string]any{}); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(api.OpenAPI, &d); err != nil {
		t.Fatal(err)
	}
	documented := map[string][]string{}
	for path, item := range d.Paths {
		for method, value := range item {
			if method == "parameters" {
				continue
			}
			data, err := yaml.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			var operation struct {
				Parameters []parameter `json:"parameters"`
				Security   []any       `json:"security"`
			}
			if err := yaml.Unmarshal(data, &operation); err != nil {
				t.Fatal(err)
			}
			if operation.Security != nil { // without a token, and outside of the table
				continue
			}
			names := []string{}
			for _, p := range operation.Parameters {
				if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
					p = d.Components.Parameters[name]
				}
				if p.In == "query" {
					names = append(names, p.Name)
				}
			}
			slices.Sort(names)
			documented[strings.ToUpper(method)+" "+path] = names
		}
	}
	if diff := cmp.Diff(api.Operations(), documented); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string][]string{
		"Phase": build.Phases, "Reason": build.Reasons(), "Cause": build.Causes, "DriftState": build.DriftStates,
	} {
		got := d.Components.Schemas[name].Enum
		slices.Sort(got)
		want = slices.Sorted(slices.Values(want))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(name, diff)
		}
	}
}

func TestTheDocumentIsServedToEverybody(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for _, prefix := range api.Prefixes {
		res := w.call(t, "", http.MethodGet, prefix+"/openapi.yaml")
		if body(t, res) != strings.TrimSpace(string(api.OpenAPI)) || res.Header.Get("Content-Type") != "application/yaml" {
			t.Error(res.Status, res.Header)
		}
	}
	if res := w.call(
		t,
		"",
		http.MethodPut,
		api.Prefixes[0]+"/openapi.yaml",
	); res.StatusCode != http.StatusMethodNotAllowed {
		t.Error(res.Status)
	}
}
