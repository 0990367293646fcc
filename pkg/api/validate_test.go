// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/build"
)

func TestADescriptionIsValidatedWithoutABuild(t *testing.T) {
	t.Parallel()
	const asYAML = `
metadata: {name: d, application: app}
spec:
  firmware:
    container:
      image: app:1
      build:
        image: b
        artifact: {path: f}
        source: {git: {uri: https://h/r, project: ., ref: main}}
`
	const foreign = `{"metadata":{"name":"other"},"spec":{"firmware":` + good + `}}`
	d, err := build.Parse(json.RawMessage(good))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		query, body                       string
		valid                             bool
		hash, image, violations, warnings string
	}{
		"a section":                     {body: good, valid: true, hash: d.Hash(), image: "a:1"},
		"an object as YAML":             {body: asYAML, valid: true, image: "app:1", warnings: `did you mean "rev"?`},
		"the image of somebody else":    {body: foreign, violations: "belongs to somebody else"},
		"of the application in the URL": {query: "?application=a", body: foreign, valid: true, image: "a:1"},
		"a wrong section":               {body: `{"container":{"image":"a","build":{}}}`, violations: "spec.firmware.container.build"},
		"no build":                      {body: `{"container":{"image":"a"}}`, violations: "says nothing of a build"},
		"an object without a section":   {body: `{"metadata":{"name":"a"},"spec":{}}`, violations: "says nothing of a build"},
	} {
		w := newWorld()
		w.policy.Images = build.OwnNames
		res := w.post(t, "read", http.MethodPost, api.Prefixes[0]+"/validate"+tt.query, tt.body)
		text := body(t, res)
		var got api.Validation
		if err := json.Unmarshal([]byte(text), &got); err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(name, err, res.Status, text)
		}
		if got.Valid != tt.valid || got.Valid && got.Description.Image != tt.image || tt.hash != "" && got.Hash != tt.hash ||
			got.Violations == nil || (len(got.Violations) > 0) != (tt.violations != "") ||
			!strings.Contains(text, tt.violations) || len(w.sent) > 0 ||
			got.Warnings == nil || tt.warnings != "" && !strings.Contains(got.Warnings[0].Detail, tt.warnings) {
			t.Errorf("%s: %s", name, text)
		}
	}
	for text, want := range map[string]int{
		"a: &a x\nb: *a": 400, "": 400, "[]": 400, "a: b: c": 400, `{"a":1,"a":2}`: 400, `{"spec":1}`: 400, strings.Repeat(" ", 70<<10): 413,
	} {
		res := newWorld().post(t, "read", http.MethodPost, api.Prefixes[0]+"/validate", text)
		if res.StatusCode != want {
			t.Errorf("%.20q: %s %s", text, res.Status, body(t, res))
		}
	}
}

func FuzzValidate(f *testing.F) {
	f.Add(good)
	f.Add("spec: {firmware: {hawkbit: {controller: c, build: {image: b}}}}\nmetadata: {name: a}")
	f.Add("a: &a [*a]")
	h := newWorld().handler()
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequestWithContext(
			t.Context(),
			http.MethodPost,
			api.Prefixes[0]+"/validate",
			strings.NewReader(text),
		)
		r.Header.Set("Authorization", "Bearer read")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if c := rec.Code; c != 200 && c != 400 && c != 413 || !json.Valid(rec.Body.Bytes()) {
			t.Errorf("%q: %d %s", text, c, rec.Body)
		}
	})
}

func TestBuildsAreCompared(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runs = manyRuns()
	for i, hash := range map[int]string{0: "old", 2: "old", 3: "new", 4: "new", 5: "new", 6: "new"} {
		w.runs[i].DescriptionHash = hash
		w.runs[i].Description = build.Description{Builder: "gcc:13", Args: []string{hash}, Timeout: build.Duration(time.Hour)}
	}
	path := func(n int) string { return api.Prefixes[0] + "/builds/" + w.runs[n].ID + "/diff" }
	for query, want := range map[string]api.Difference{
		path(4): {
			From: w.runs[2].ID, To: w.runs[4].ID, Commits: api.Commits{From: w.runs[2].Commit, To: w.runs[4].Commit},
			Diff: "--- " + w.runs[2].ID + "\n+++ " + w.runs[4].ID + "\n@@ -1,5 +1,5 @@\n args:\n-- old\n+- new\n" +
				" artifact: \"\"\n builder: gcc:13\n registry: \"\"\n",
		},
		path(4) + "?with=000000000003": {
			From: w.runs[3].ID, To: w.runs[4].ID, Commits: api.Commits{From: w.runs[3].Commit, To: w.runs[4].Commit},
		},
	} {
		var got api.Difference
		text := body(t, w.call(t, "read", http.MethodGet, query))
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err, text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(query, diff)
		}
	}
	for query, want := range map[string]int{
		path(2): 404, path(4) + "?with=000000000001": 400, path(4) + "?with=" + id: 404, path(4) + "?from=x": 400,
	} {
		if res := w.call(t, "read", http.MethodGet, query); res.StatusCode != want {
			t.Error(query, res.Status, body(t, res))
		}
	}
}

func TestWhoCalls(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.expires = now
	for token, want := range map[string]string{
		"role": `{"name":"alice","subject":"s","mayTrigger":true,"expires":"2026-01-02T03:04:05Z"}`,
		"read": `{"name":"alice","subject":"s","mayTrigger":false,"expires":"2026-01-02T03:04:05Z"}`,
	} {
		if got := body(t, w.call(t, token, http.MethodGet, api.Prefixes[1]+"/me")); got != want {
			t.Error(got)
		}
	}
}

// TestWhatAnInstallationSaysToEverybody is all that a client needs to get a token.
func TestWhatAnInstallationSaysToEverybody(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.info = api.Info{Version: "v1", Issuer: "https://sso/realms/drogue", ClientID: "drogue"}
	const want = `{"version":"v1","api":"/api/builds/v1alpha1","issuer":"https://sso/realms/drogue","clientId":"drogue","dev":false}`
	if got := body(t, w.call(t, "", http.MethodGet, "/.well-known/ajour")); got != want {
		t.Error(got)
	}
	if res := w.call(t, "", http.MethodPost, "/.well-known/ajour"); res.StatusCode != http.StatusMethodNotAllowed {
		t.Error(res.Status)
	}
}
