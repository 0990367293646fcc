// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/drogue"
	"github.com/drogue-iot/ajour/pkg/local/registry"
)

const apps = "/api/registry/v1alpha1/apps"

// withRegistry is a world whose Drogue registry is the embedded one, which takes the name of a user for
// the token. Applications of "trigger" can be read by "read".
type withRegistry struct {
	*world
	t   *testing.T
	url string
}

func newWithRegistry(t *testing.T) *withRegistry {
	t.Helper()
	reg, err := registry.Open(filepath.Join(t.TempDir(), "registry"), registry.Options{Credentials: registry.Credentials{
		Bearer: func(_ *http.Request, token string) (registry.User, bool) {
			return registry.User{ID: "id-" + token, Name: token}, true
		},
		UserID: func(name string) (string, bool) { return "id-" + name, true },
	}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(reg)
	t.Cleanup(func() {
		srv.Close()
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
	})
	w := newWorld()
	w.registry = drogue.New(srv.URL, http.DefaultClient, drogue.Bearer("trigger"))
	return &withRegistry{w, t, srv.URL}
}

// do calls the registry as "trigger".
func (w *withRegistry) do(method, path, body string) map[string]any {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer trigger")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		w.t.Fatal(method, path, res.Status)
	}
	var answer map[string]any
	_ = json.NewDecoder(res.Body).Decode(&answer) // some have no body
	return answer
}

// app makes an application that "read" may read.
func (w *withRegistry) app(name, rest string) {
	w.t.Helper()
	w.do(http.MethodPost, apps, `{"metadata":{"name":"`+name+`","labels":{"zone":"`+name+`"}}`+rest+`}`)
	w.do(http.MethodPut, "/api/admin/v1alpha1/apps/"+name+"/members", `{"members":{"read":{"role":"reader"}}}`)
}

func (w *withRegistry) device(app, name, rest string) {
	w.t.Helper()
	w.do(http.MethodPost, apps+"/"+app+"/devices", fmt.Sprintf(
		`{"metadata":{"application":%q,"name":%q,"labels":{"kind":"sensor"}}%s}`, app, name, rest,
	))
}

func (w *withRegistry) get(path string, into any) *http.Response {
	w.t.Helper()
	res := w.call(w.t, "read", http.MethodGet, api.Prefixes[0]+path)
	if text := body(w.t, res); res.StatusCode != http.StatusOK || json.Unmarshal([]byte(text), into) != nil {
		w.t.Fatal(path, res.Status, text)
	}
	return res
}

const (
	ofApp    = `,"spec":{"secret":"s","firmware":` + good + `}`
	inSync   = `{"type":"InSync","status":"True","lastTransitionTime":"2023-05-17T13:00:00Z"}`
	updating = `{"type":"InSync","status":"False","lastTransitionTime":"2023-05-17T13:00:00Z"},
		{"type":"UpdateProgress","status":"Unknown","message":"44.20","lastTransitionTime":"2023-05-17T13:00:00Z"}`
)

func reported(conditions string) string {
	return `,"status":{"firmware":{"current":"0","target":"1","conditions":[` + conditions + `]}}`
}

// fleet has an application whose description was built, with a device in each state, one of which has a
// description of its own, that is wrong, and an application that only delivers.
func fleet(t *testing.T) *withRegistry {
	t.Helper()
	w := newWithRegistry(t)
	w.app("app", ofApp)
	w.app("delivery", `,"spec":{"firmware":{"container":{"image":"a:1"}}}`)
	w.app("plain", "")
	w.do(http.MethodPost, apps, `{"metadata":{"name":"foreign"}`+ofApp+`}`)
	w.device("app", "../é #7", reported(inSync))
	w.device("app", "b", reported(updating))
	w.device("app", "c", `,"spec":{"password":"p","firmware":{"container":{"image":"A","build":{}}}}`)
	w.device("app", "d", "")
	d, err := build.Parse(json.RawMessage(good))
	if err != nil {
		t.Fatal(err)
	}
	w.runs = manyRuns()[:1]
	w.runs[0].DescriptionHash = d.Hash()
	return w
}

func TestApplicationsAreShown(t *testing.T) {
	t.Parallel()
	w := fleet(t)
	var list []api.Object
	w.get("/apps", &list)
	ignored := cmpopts.IgnoreFields(api.Object{}, "Newest", "Hash")
	want := []api.Object{
		{Name: "app", Labels: map[string]string{"zone": "app"}, Kind: "container", Builds: true},
		{Name: "delivery", Labels: map[string]string{"zone": "delivery"}, Kind: "container"},
		{Name: "plain", Labels: map[string]string{"zone": "plain"}},
	}
	if diff := cmp.Diff(want, list, ignored); diff != "" || list[0].Newest.ID != w.runs[0].ID {
		t.Error(diff, list[0].Newest)
	}
	list = nil
	w.get("/apps?labels=zone%3Dplain", &list)
	if diff := cmp.Diff(want[2:], list, ignored); diff != "" {
		t.Error(diff)
	}
	w.runs[0].DescriptionHash = "former"
	var app api.Object
	res := w.get("/apps/app", &app)
	if !app.OutOfDate || app.Description.Image != "a:1" || string(app.Firmware) == "" || res.Header.Get("ETag") == "" {
		t.Errorf("%+v", app)
	}
	for path, want := range map[string]int{
		"/apps/foreign": 404, "/apps/none": 404, "/apps/A": 400, "/apps?labels=%3D": 400, "/apps/app/device?name=": 400,
		"/apps/app/device?name=none": 404, "/apps/app/devices?limit=0": 400, "/apps/app/devices?state=No": 400,
		"/apps/app/devices?cursor=x": 400, "/apps/foreign/devices": 404, "/apps/foreign/fleet": 404,
		"/apps/app/devices?labels=%3D": 400,
	} {
		if res := w.call(t, "read", http.MethodGet, api.Prefixes[0]+path); res.StatusCode != want {
			t.Error(path, res.Status, body(t, res))
		}
	}
}

func TestDevicesAreShownWithTheirDrift(t *testing.T) {
	t.Parallel()
	w := fleet(t)
	var list []api.Object
	w.get("/apps/app/devices", &list)
	got := []string{}
	for _, d := range list {
		got = append(
			got,
			fmt.Sprint(d.Name, " ", d.Drift.State, " ", d.Drift.Wanted, " ", d.Inherits, " ", len(d.Violations) > 0),
		)
	}
	want := []string{
		"../é #7 InSync 1 true false",
		"b Updating 1 true false",
		"c Unknown  false true",
		"d Unknown 1 true false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for query, want := range map[string]string{
		"?limit=3": "../é #7,b,c|d", "?limit=2": "../é #7,b|c,d", "?state=Unknown&limit=1": "c|d", "?state=InSync": "../é #7",
		"?labels=kind%3Dsensor&state=Updating&state=InSync": "../é #7,b", "?labels=kind%3Dx": "",
	} {
		var pages []string
		for path := "/apps/app/devices" + query; path != ""; {
			list = nil
			res := w.get(path, &list)
			names := []string{}
			for _, d := range list {
				names = append(names, d.Name)
			}
			if pages = append(pages, strings.Join(names, ",")); len(pages) > 5 {
				t.Fatal(pages)
			}
			link, _, _ := strings.Cut(strings.TrimPrefix(res.Header.Get("Link"), "<"), ">")
			path = strings.TrimPrefix(link, api.Prefixes[0])
		}
		if got := strings.TrimSuffix(strings.Join(pages, "|"), "|"); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	var one api.Object
	w.get("/apps/app/device?name="+url.QueryEscape("../é #7"), &one)
	if one.Name != "../é #7" || !one.Inherits || one.Description.Image != "a:1" || one.Firmware != nil {
		t.Errorf("%+v", one)
	}
	text := body(t, w.call(t, "read", http.MethodGet, api.Prefixes[0]+"/apps/app/device?name=c"))
	if strings.Contains(text, "password") {
		t.Error(text)
	}
}

func TestTheDevicesOfAnApplicationAreCounted(t *testing.T) {
	t.Parallel()
	w := fleet(t)
	var got api.Fleet
	w.get("/apps/app/fleet", &got)
	want := api.Fleet{
		Devices: 4,
		States:  map[build.DriftState]int{"InSync": 1, "Updating": 1, "NotInSync": 0, "Unknown": 2},
		Own:     1,
		At:      now,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestADescriptionIsReplacedAlone: everything else of the object stays, and what has changed meanwhile is
// not overwritten.
func TestADescriptionIsReplacedAlone(t *testing.T) {
	t.Parallel()
	w := fleet(t)
	var app api.Object
	tag := w.get("/apps/app", &app).Header.Get("ETag")
	next := strings.Replace(good, "a:1", "a:2", 1)
	put := func(token, path, text, match string) (int, string) {
		var headers []string
		if match != "" {
			headers = []string{"If-Match", match}
		}
		res := w.post(t, token, http.MethodPut, api.Prefixes[0]+path, text, headers...)
		return res.StatusCode, body(t, res)
	}
	image := func() string {
		w.get("/apps/app", &app)
		return app.Description.Image
	}
	for _, tt := range []struct {
		name, token, path, text, match string
		want                           int
		image                          string
	}{
		{"a reader may not", "read", "/apps/app/firmware", next, "", 403, "a:1"},
		{"a stranger sees nothing", "stranger", "/apps/app/firmware", next, "", 404, "a:1"},
		{"what is wrong is not written", "trigger", "/apps/app/firmware", `{"container":{"image":"A","build":{}}}`, "", 422, "a:1"},
		{"what is no section is not written", "trigger", "/apps/app/firmware", "[]", "", 400, "a:1"},
		{"a NUL is not written", "trigger", "/apps/app/firmware", `{"container":{"image":"a\u0000"}}`, "", 400, "a:1"},
		{"what was changed meanwhile is not overwritten", "trigger", "/apps/app/firmware", next, `"former"`, 412, "a:1"},
		{"a dry run writes nothing", "trigger", "/apps/app/firmware?dry-run=true", next, tag, 200, "a:1"},
		{"what was read is replaced", "trigger", "/apps/app/firmware", next, tag, 200, "a:2"},
		{"once more, as its answer may be lost", "trigger", "/apps/app/firmware", next, tag, 200, "a:2"},
		{"by something else that is not read", "trigger", "/apps/app/firmware", good, tag, 412, "a:2"},
		{"a dry run asks for the right, too", "read", "/apps/app/firmware?dry-run=true", good, "", 403, "a:2"},
		{"by YAML", "trigger", "/apps/app/firmware", "container: {image: 'a:3', build: {image: b, artifact: {path: f}, " +
			"source: {git: {uri: 'https://h/r', rev: main, project: .}}}}", "*", 200, "a:3"},
		{"delivery alone is fine", "trigger", "/apps/delivery/firmware", `{"container":{"image":"b:2"}}`, "", 200, "a:3"},
		{"of a device", "trigger", "/apps/app/device-firmware?name=d", next, "", 200, "a:3"},
		{"of a device that a reader reads", "read", "/apps/app/device-firmware?name=d", good, "", 403, "a:3"},
		{"of a device without a name", "trigger", "/apps/app/device-firmware", next, "", 400, "a:3"},
	} {
		if status, text := put(tt.token, tt.path, tt.text, tt.match); status != tt.want || image() != tt.image {
			t.Errorf("%s: %d %s", tt.name, status, text)
		}
	}
	object := w.do(http.MethodGet, apps+"/app", "")
	if spec, _ := object["spec"].(map[string]any); spec["secret"] != "s" {
		t.Error(object)
	}
	version := func() any {
		metadata, _ := w.do(http.MethodGet, apps+"/app", "")["metadata"].(map[string]any)
		return metadata["resourceVersion"]
	}
	before := version()
	if status, text := put(
		"trigger",
		"/apps/app/firmware",
		string(app.Firmware),
		"",
	); status != 200 ||
		version() != before {
		t.Error("what is the same was written", status, text)
	}
}
