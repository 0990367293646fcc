// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/auth"
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

const (
	id   = "0190f2a4-6c3b-7a57-8f0e-0242ac120002"
	good = `{"container":{"image":"a:1","build":{"image":"b","artifact":{"path":"f"},
		"source":{"git":{"uri":"https://h/r","project":".","rev":"main"}}}}}`
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is a double of everything that the API talks to.
type world struct {
	objects   map[string]string // spec.firmware by target
	record    string            // of each object
	policy    build.Policy
	needs     api.Rights
	limits    api.Limits
	audit     io.Writer
	hooks     api.Secrets
	artifacts api.Artifacts
	enabled   []string
	at        time.Time
	expires   time.Time
	streams   api.Streams
	info      api.Info
	// registry and state take the place of the double, if they are there.
	registry api.Registry
	state    api.State

	mu       sync.Mutex
	refused  []string
	runs     []build.Run
	sent     []cloudevents.Event
	fail     map[string]error
	log      func()                                        // is called before a log is written
	output   [][2]string                                   // of steps, by their names
	wrap     func(step string, output io.Reader) io.Reader // what else there is of the output
	watcher  func(build.Run, bool)
	readable []build.Listed // applications, the default ones if nil
}

// Middleware takes "trigger" and "read" for tokens, "role" for one that may read and has the role,
// and "write" for one that may write and has not.
func (w *world) Middleware(next http.Handler, refuse func(http.ResponseWriter, *http.Request, error)) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if token == "" {
			refuse(rw, r, auth.ErrInvalidToken)
			return
		}
		next.ServeHTTP(
			rw,
			r.WithContext(
				auth.NewContext(
					r.Context(),
					auth.Principal{
						Subject: "s", Name: "alice", Token: token, MayTrigger: token == "trigger" || token == "role",
						Expires: w.expires,
					},
				),
			),
		)
	})
}

func (w *world) ObjectAs(_ context.Context, _ string, t build.ObjectRef) (build.Object, error) {
	if err := w.fail["registry"]; err != nil {
		return nil, err
	}
	section, ok := w.objects[t.String()]
	if !ok {
		return nil, build.ErrNoObject
	}
	if section == "foreign" {
		return nil, build.ErrForbidden
	}
	return object{section, w.record}, nil
}

// failure is how something fails, nil if it does not.
func (w *world) failure(what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fail[what]
}

// Object reads as the user of the installation.
func (w *world) Object(context.Context, build.ObjectRef) (build.Object, error) {
	return object{}, w.fail["member"]
}

// MayWriteAs lets the tokens "trigger" and "write" write.
func (w *world) MayWriteAs(_ context.Context, token string, _ build.ObjectRef) (bool, error) {
	return token == "trigger" || token == "write", w.fail["write"]
}

// object is a Drogue object with a section spec.firmware and a record.
type object struct{ section, record string }

func (o object) UID() string                       { return "uid" }
func (o object) Labels() map[string]string         { return map[string]string{"kind": "test"} }
func (o object) Firmware() json.RawMessage         { return json.RawMessage(o.section) }
func (o object) SetStatus(string, json.RawMessage) {}
func (o object) Status(string) json.RawMessage {
	if o.record == "" {
		return nil
	}
	return json.RawMessage(o.record)
}

func (w *world) ApplicationsAs(context.Context, string) ([]build.Listed, error) {
	if err := errors.Join(w.failure("registry"), w.fail["list"]); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.readable != nil {
		return w.readable, nil
	}
	return []build.Listed{{Object: build.ObjectRef{Application: "app"}, UID: "uid", Described: true}}, nil
}

// What follows is tried with a registry.
func (w *world) EachApplicationAs(
	context.Context, string, string, func(build.ObjectRef, build.Object) error,
) error {
	return errors.New("not here")
}

func (w *world) DevicesPageAs(
	context.Context, string, build.DevicesPage, func(int, build.ObjectRef, build.Object) error,
) (int, error) {
	return 0, errors.New("not here")
}

func (w *world) SetFirmwareAs(
	context.Context, string, build.ObjectRef, func(build.Object) (json.RawMessage, error),
) error {
	return errors.New("not here")
}

func (w *world) DevicesAs(_ context.Context, _, application string) (list []build.Listed, err error) {
	for name, section := range w.objects {
		if _, device, ok := strings.Cut(name, application+"/"); ok {
			list = append(list, build.Listed{
				Object:    build.ObjectRef{Application: application, Device: device},
				Described: build.Describes(json.RawMessage(section)),
			})
		}
	}
	return list, w.fail["devices"]
}

func (w *world) Get(_ context.Context, id string) (build.Run, error) {
	for _, r := range w.runs {
		if r.ID == id {
			return r, w.fail["runs"]
		}
	}
	return build.Run{}, build.ErrNotFound
}

func (w *world) Find(name string) (build.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.runs {
		if build.RunName(r.ID) == name {
			return r, nil
		}
	}
	return build.Run{}, build.ErrNotFound
}

func (w *world) List(q build.Query) (list []build.Run) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.runs {
		if q.Active && !r.Active() {
			continue
		}
		if q.Object != (build.ObjectRef{}) && q.Object != r.Object ||
			q.Application != "" && q.Application != r.Object.Application {
			continue
		}
		same := slices.IndexFunc(list, func(other build.Run) bool { return other.Object == r.Object })
		switch {
		case !q.Newest || same < 0:
			list = append(list, r)
		case r.Compare(list[same]) > 0:
			list[same] = r
		}
	}
	return list
}

func (w *world) Each(q build.Query, f func(*build.Run)) {
	for _, r := range w.List(q) {
		f(&r)
	}
}

// Watch has the last one who watches see what set and remove do.
func (w *world) Watch(f func(build.Run, bool)) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watcher = f
	return func() {}
}

// set changes a build, or adds it.
func (w *world) set(r build.Run) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.IndexFunc(w.runs, func(o build.Run) bool { return o.ID == r.ID }); i >= 0 {
		w.runs[i] = r
	} else {
		w.runs = append(w.runs, r)
	}
	w.watcher(r, false)
}

// remove removes a build.
func (w *world) remove(r build.Run) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs = slices.DeleteFunc(w.runs, func(o build.Run) bool { return o.ID == r.ID })
	w.watcher(r, true)
}

func (w *world) Log(
	_ context.Context, _ string, o build.LogOptions, f func(step string, output io.Reader) error,
) error {
	if w.log != nil {
		w.log()
	}
	if err := w.fail["log"]; err != nil {
		return err
	}
	for _, step := range w.output {
		if o.Step != "" && o.Step != step[0] {
			continue
		}
		var output io.Reader = strings.NewReader(step[1])
		if w.wrap != nil {
			output = w.wrap(step[0], output)
		}
		if err := f(step[0], output); err != nil {
			return err
		}
	}
	if w.output == nil {
		return f("build-firmware", strings.NewReader(fmt.Sprintf("follow=%t", o.Follow)))
	}
	return nil
}

func (w *world) Send(_ context.Context, ev cloudevents.Event) error {
	w.sent = append(w.sent, ev)
	return w.fail["send"]
}

func newWorld() *world {
	return &world{
		objects: map[string]string{
			"app":       good,
			"app/d":     good,
			"app/a b/c": good,
			"plain":     "",
			"delivery":  `{"container":{"image":"a:1"}}`,
			"wrong":     `{"container":{"image":"a","build":{}}}`,
			"foreign":   "foreign",
			"hawkbit":   strings.Replace(good, `"container":{"image":"a:1"`, `"hawkbit":{"controller":"c"`, 1),
		},
		fail: map[string]error{},
	}
}

func (w *world) auditLog() io.Writer {
	if w.audit != nil {
		return w.audit
	}
	return io.Discard
}

func (w *world) drogue() api.Registry {
	if w.registry != nil {
		return w.registry
	}
	return w
}

func (w *world) builds() api.State {
	if w.state != nil {
		return w.state
	}
	return w
}

func (w *world) handler() http.Handler {
	return api.New(
		api.Deps{
			Verifier:  w,
			Registry:  w.drogue(),
			Objects:   w,
			State:     w.builds(),
			Runs:      w,
			Sender:    w,
			Hooks:     w.hooks,
			Artifacts: w.artifacts,
		},
		api.Options{
			Log: slog.New(slog.NewJSONHandler(w.auditLog(), &slog.HandlerOptions{
				ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey {
						return slog.Attr{}
					}
					return a
				},
			})),
			Clock: func() time.Time {
				if !w.at.IsZero() {
					return w.at
				}
				return now
			},
			NewID:   func() string { return id },
			Origins: []string{"https://console"},
			User:    "ajour", Applications: w.enabled,
			Policy: w.policy,
			Needs:  w.needs,
			Limits: w.limits, Streams: w.streams, Info: w.info,
			Refused: func(_ context.Context, code string) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.refused = append(w.refused, code)
			},
		},
	)
}

// call sends a request and returns its status, headers and body.
func (w *world) call(t *testing.T, token, method, path string, headers ...string) *http.Response {
	t.Helper()
	return w.post(t, token, method, path, "", headers...)
}

// post is like call, with a body.
func (w *world) post(t *testing.T, token, method, path, body string, headers ...string) *http.Response {
	t.Helper()
	srv := httptest.NewServer(w.handler())
	t.Cleanup(srv.Close)
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// TestATriggerWarnsOfWhatIsNotRead: the build is accepted all the same.
func TestATriggerWarnsOfWhatIsNotRead(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.objects["app"] = strings.Replace(good, `"path":"f"`, `"path":"f","max_size":1`, 1)
	var got api.Accepted
	res := w.call(t, "trigger", http.MethodPost, "/api/builds/v1alpha1/apps/app/trigger")
	if err := json.Unmarshal([]byte(body(t, res)), &got); err != nil {
		t.Fatal(err)
	}
	want := []string{`spec.firmware.container.build.artifact.max_size is not read: did you mean "maxSize"?`}
	if diff := cmp.Diff(want, got.Warnings); diff != "" || got.ID != id {
		t.Error(got.ID, diff)
	}
}

func TestATriggerIsAccepted(t *testing.T) {
	t.Parallel()
	for _, prefix := range api.Prefixes {
		for path, target := range map[string]build.ObjectRef{
			"/apps/app/trigger":                   {Application: "app"},
			"/apps/app/devices/d/trigger":         {Application: "app", Device: "d"},
			"/apps/app/devices/a%20b%2Fc/trigger": {Application: "app", Device: "a b/c"},
			"/apps/app/devices/a%20b/c/trigger":   {Application: "app", Device: "a b/c"}, // as old clients write it
		} {
			w := newWorld()
			res := w.call(t, "trigger", http.MethodPost, prefix+path)
			location := prefix + "/builds/" + id
			want := api.Accepted{ID: id, Application: target.Application, Device: target.Device, Location: location}
			var got api.Accepted
			if err := json.Unmarshal([]byte(body(t, res)), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" || res.StatusCode != 202 || res.Header.Get("Location") != location {
				t.Error(path, res.Status, diff)
			}
			if len(w.sent) != 1 {
				t.Fatal(w.sent)
			}
			r, err := event.DecodeRequested(w.sent[0])
			d, _ := build.Parse(json.RawMessage(good))
			wantRequest := build.Request{
				ID:              id,
				Object:          target,
				DescriptionHash: d.Hash(),
				Requester:       "alice",
				Cause:           build.CauseAPI,
				Time:            now,
			}
			if diff := cmp.Diff(wantRequest, r); diff != "" || err != nil {
				t.Error(err, diff)
			}
		}
	}
}

func TestABuildIsRepublished(t *testing.T) {
	t.Parallel()
	artifact := &build.Artifact{
		Reference: "quay.io/acme/a:1",
		Digest:    "sha256:1",
		Version:   "4f1c2ab",
		Size:      20,
		SHA256:    "abc",
	}
	old := build.Run{
		ID: "0190f2a4-6c3b-7a57-8f0e-0242ac120099", Object: build.ObjectRef{Application: "app"},
		Description: build.Description{Registry: build.OCI, Image: "a:1", Controller: "sensor-7"},
		Controller:  "sensor-7",
		Status:      build.Status{Phase: build.Failed, Commit: "4f1c2abx", DescriptionHash: "hash", Artifact: artifact},
	}
	path := api.Prefixes[0] + "/builds/" + old.ID + "/publish"
	w := newWorld()
	w.runs = []build.Run{old}
	res := w.call(t, "trigger", http.MethodPost, path)
	if text := body(t, res); res.StatusCode != http.StatusAccepted || !strings.Contains(text, id) {
		t.Fatal(res.Status, text)
	}
	got, err := event.DecodeRepublish(w.sent[0])
	if err != nil {
		t.Fatal(err)
	}
	want := build.Republish{ID: id, Object: old.Object, Of: old.ID, Requester: "alice", Time: now}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, tt := range map[string]struct {
		token  string
		change func(*build.Run)
		want   int
	}{
		"without the right": {"read", func(*build.Run) {}, http.StatusForbidden},
		"of a foreign application": {
			"trigger",
			func(r *build.Run) { r.Object.Application = "foreign" },
			http.StatusNotFound,
		},
		"while it runs":       {"trigger", func(r *build.Run) { r.Phase = build.Running }, http.StatusConflict},
		"without an artifact": {"trigger", func(r *build.Run) { r.Artifact = nil }, http.StatusConflict},
		"in hawkBit alone": {
			"trigger",
			func(r *build.Run) { r.Artifact = &build.Artifact{Version: "x"} },
			http.StatusConflict,
		},
		"with nowhere else to go to": {"trigger", func(r *build.Run) { r.Controller = "" }, http.StatusConflict},
	} {
		w := newWorld()
		run := old
		tt.change(&run)
		w.runs = []build.Run{run}
		if res := w.call(t, tt.token, http.MethodPost, path); res.StatusCode != tt.want || len(w.sent) != 0 {
			t.Errorf("%s: %s %s", name, res.Status, body(t, res))
		}
	}
}

// TestATokenThatTheRegistryRefusesIsNotTaken: it has no leeway for one that has expired. The
// caller learns to get a new one, and not that nothing is there.
func TestATokenThatTheRegistryRefusesIsNotTaken(t *testing.T) {
	t.Parallel()
	for call, token := range map[string]string{
		"POST /apps/app/trigger": "trigger", "GET /": "read", "GET /builds": "read", "GET /builds/" + id: "read",
	} {
		w := newWorld()
		w.runs = []build.Run{{ID: id, Name: build.RunName(id), Object: build.ObjectRef{Application: "app"}}}
		w.fail["registry"] = fmt.Errorf("read: %w", build.ErrUnauthenticated)
		method, path, _ := strings.Cut(call, " ")
		res := w.call(t, token, method, "/api/builds/v1alpha1"+path)
		if res.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Error(call, res.Status, res.Header)
		}
	}
}

func TestTriggersThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, token, method, path string
		fail                      string
		status                    int
		code                      string
		sent                      string
	}{
		{"no token", "", "POST", "/apps/app/trigger", "", 401, "Unauthorized", ""},
		{"a token without the right", "read", "POST", "/apps/app/trigger", "", 403, "Forbidden", ""},
		{"a missing application", "trigger", "POST", "/apps/none/trigger", "", 404, "NotFound", ""},
		{"a foreign application looks missing", "trigger", "POST", "/apps/foreign/trigger", "", 404, "NotFound", ""},
		{"a device without a description", "trigger", "POST", "/apps/app/devices/none/trigger", "", 404, "NotFound", ""},
		{"an application without a section", "trigger", "POST", "/apps/plain/trigger", "", 404, "NoBuild", ""},
		{"an application that only delivers", "trigger", "POST", "/apps/delivery/trigger", "", 404, "NoBuild", ""},
		{
			"a wrong description is reported on the object, too",
			"trigger",
			"POST",
			"/apps/wrong/trigger",
			"",
			422,
			"InvalidBuildSpec",
			event.TypeRejected,
		},
		{"an injection", "trigger", "POST", "/apps/a,device=b/trigger", "", 400, "InvalidRequest", ""},
		{"a path out of the tree", "trigger", "POST", "/apps/..%2fx/trigger", "", 400, "InvalidRequest", ""},
		{"a registry that is away", "trigger", "POST", "/apps/app/trigger", "registry", 503, "Unavailable", ""},
		{"a broker that is away", "trigger", "POST", "/apps/app/trigger", "send", 503, "Unavailable", event.TypeRequested},
		{"a GET", "trigger", "GET", "/apps/app/trigger", "", 405, "MethodNotAllowed", ""},
		{"another path", "trigger", "POST", "/apps/app/build", "", 404, "NotFound", ""},
		{"an empty device name", "trigger", "POST", "/apps/app/devices//trigger", "", 400, "InvalidRequest", ""},
		{"an empty device", "trigger", "POST", "/apps/app/devices/trigger", "", 404, "NotFound", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.fail[tt.fail] = errors.New("http://inner.svc: connection refused")
			res := w.call(t, tt.token, tt.method, api.Prefixes[0]+tt.path)
			text := body(t, res)
			var p api.Problem
			if err := json.Unmarshal([]byte(text), &p); err != nil {
				t.Fatal(err, text)
			}
			if res.StatusCode != tt.status || p.Status != tt.status || p.Code != tt.code || p.Detail == "" ||
				p.Message != p.Detail ||
				res.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s", res.Status, text)
			}
			if strings.Contains(text, "inner") {
				t.Errorf("the inside is told: %s", text)
			}
			if (tt.status == 503) != (res.Header.Get("Retry-After") != "") {
				t.Errorf("Retry-After %q", res.Header.Get("Retry-After"))
			}
			got := ""
			for _, ev := range w.sent {
				got = ev.Type()
			}
			if got != tt.sent {
				t.Errorf("sent %q", got)
			}
		})
	}
}

// TestATriggerThatNobodyCanCarryOutIsRefused: the installation's user is no member of the
// application. That is said only to those who may read it.
func TestATriggerThatNobodyCanCarryOutIsRefused(t *testing.T) {
	t.Parallel()
	const refused = `The user \"ajour\" of this installation is no member of the application \"app\"`
	for _, tt := range []struct {
		path string
		fail error
		code int
		body string
	}{
		{"/apps/app/trigger", build.ErrForbidden, http.StatusConflict, refused},
		{"/apps/app/devices/d/trigger", build.ErrNoObject, http.StatusConflict, refused},
		{"/builds/" + runs()[0].ID + "/publish", build.ErrForbidden, http.StatusConflict, refused},
		{"/apps/foreign/trigger", build.ErrForbidden, http.StatusNotFound, "NotFound"},
		{"/apps/app/trigger", errors.New("away"), http.StatusAccepted, id},
	} {
		w := newWorld()
		w.runs = runs()
		w.fail["member"] = tt.fail
		res := w.call(t, "trigger", http.MethodPost, api.Prefixes[0]+tt.path)
		if got := body(t, res); res.StatusCode != tt.code || !strings.Contains(got, tt.body) ||
			len(w.sent) > 0 != (tt.code == http.StatusAccepted) {
			t.Errorf("%s: %s %s", tt.path, res.Status, got)
		}
	}
}

// TestATriggerOfWhatThePolicyDoesNotAdmitIsRejected, with the member that is wrong, and so is
// a second publish of what an earlier policy admitted.
func TestATriggerOfWhatThePolicyDoesNotAdmitIsRejected(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.policy.Images = build.OwnNames
	w.runs = runs()
	w.runs[0].Description, w.runs[0].Controller = build.Description{Image: "a:1", Controller: "app"}, "app"
	w.runs[0].Artifact = &build.Artifact{Reference: "quay.io/acme/a:1", Digest: "sha256:1", Version: "4f1c2ab"}
	var p api.Problem
	res := w.call(t, "trigger", http.MethodPost, api.Prefixes[0]+"/apps/app/trigger")
	if err := json.Unmarshal([]byte(body(t, res)), &p); err != nil {
		t.Fatal(err)
	}
	want := []build.Violation{{
		Path:   "spec.firmware.container.image",
		Detail: `"a:1" belongs to somebody else: write app:TAG, or app/NAME:TAG`,
	}}
	if diff := cmp.Diff(want, p.Violations); diff != "" || res.StatusCode != http.StatusUnprocessableEntity {
		t.Error(res.Status, diff)
	}
	if len(w.sent) != 1 || w.sent[0].Type() != event.TypeRejected {
		t.Error(w.sent)
	}
	res = w.call(t, "trigger", http.MethodPost, api.Prefixes[0]+"/builds/"+w.runs[0].ID+"/publish")
	if text := body(t, res); res.StatusCode != http.StatusConflict || !strings.Contains(text, "belongs to somebody else") {
		t.Error(res.Status, text)
	}
}

// TestWhatACallerNeeds to have something done, by the choice of the installation. Who may not read
// the object learns nothing of it.
func TestWhatACallerNeeds(t *testing.T) {
	t.Parallel()
	for needs, admitted := range map[api.Rights]map[string]bool{
		api.NeedsRole:  {"trigger": true, "role": true, "write": false, "read": false},
		api.NeedsWrite: {"trigger": true, "role": false, "write": true, "read": false},
		api.NeedsBoth:  {"trigger": true, "role": false, "write": false, "read": false},
	} {
		for token, want := range admitted {
			for _, call := range []struct{ method, path string }{
				{http.MethodPost, "/apps/app/trigger"},
				{http.MethodPost, "/apps/app/devices/d/trigger"},
				{http.MethodDelete, "/builds/" + runs()[1].ID},
				{http.MethodPost, "/builds/" + runs()[0].ID + "/publish"},
			} {
				w := newWorld()
				w.needs = needs
				w.runs = runs()
				w.runs[0].Description, w.runs[0].Controller = build.Description{Image: "app:1", Controller: "app"}, "app"
				w.runs[0].Artifact = &build.Artifact{Reference: "quay.io/acme/app:1", Digest: "sha256:1", Version: "4f1c2ab"}
				status := map[bool]int{true: http.StatusAccepted, false: http.StatusForbidden}[want]
				res := w.call(t, token, call.method, api.Prefixes[0]+call.path)
				if res.StatusCode != status || len(w.sent) > 0 != want {
					t.Errorf("%s, %s: %s %s: %s %s", needs, token, call.method, call.path, res.Status, body(t, res))
				}
			}
			w := newWorld()
			w.needs = needs
			if res := w.call(
				t, token, http.MethodPost, api.Prefixes[0]+"/apps/foreign/trigger",
			); res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusForbidden ||
				strings.Contains(body(t, res), "You may read") {
				t.Errorf("%s, %s, of a foreign application: %s", needs, token, res.Status)
			}
		}
	}
	w := newWorld()
	w.needs, w.fail["write"] = api.NeedsBoth, errors.New("away")
	if res := w.call(t, "trigger", http.MethodPost, api.Prefixes[0]+"/apps/app/trigger"); res.StatusCode != 503 {
		t.Error(res.Status)
	}
}

func TestAnIdempotencyKeyAsksForTheSameBuild(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for _, call := range [][2]string{{"/apps/app/trigger", "k"}, {"/apps/app/trigger", "k"}, {"/apps/app/trigger", "other"}, {"/apps/app/devices/d/trigger", "k"}} {
		if res := w.call(
			t, "trigger", http.MethodPost, api.Prefixes[0]+call[0], "Idempotency-Key", call[1],
		); res.StatusCode != 202 {
			t.Fatal(res.Status)
		}
	}
	if w.sent[0].ID() != w.sent[1].ID() || w.sent[0].ID() == w.sent[2].ID() || w.sent[0].ID() == w.sent[3].ID() {
		t.Error(w.sent)
	}
	if res := w.call(
		t, "trigger", http.MethodPost, api.Prefixes[0]+"/apps/app/trigger", "Idempotency-Key",
		strings.Repeat("x", 256),
	); res.StatusCode != 400 {
		t.Error(res.Status)
	}
}

func runs() []build.Run {
	run := func(n int, app, device string, phase build.Phase) build.Run {
		return build.Run{
			ID:     fmt.Sprintf("0190f2a4-6c3b-7a57-8f0e-%012d", n),
			Name:   build.RunName(fmt.Sprintf("0190f2a4-6c3b-7a57-8f0e-%012d", n)),
			Object: build.ObjectRef{Application: app, Device: device},
			Status: build.Status{
				Phase:     phase,
				Reason:    build.Reason(phase),
				Requested: now.Add(time.Duration(n) * time.Minute),
				Cause:     build.CauseAPI,
			},
		}
	}
	return []build.Run{
		run(1, "app", "", build.Succeeded),
		run(3, "app", "", build.Running),
		run(2, "app", "d", build.Failed),
		run(4, "foreign", "", build.Running),
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runs = runs()
	lists(t, w)
}

// TestListsWhereTheRegistryHasNone: an object that it cannot send breaks off its own list.
func TestListsWhereTheRegistryHasNone(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runs = runs()
	w.fail["list"] = errors.New("number out of range")
	lists(t, w)
	w.fail["registry"] = errors.New("away")
	if res := w.call(t, "read", http.MethodGet, api.Prefixes[1]+"/"); res.StatusCode != http.StatusServiceUnavailable {
		t.Error(res.Status)
	}
}

// TestBuildsOfAnEarlierApplicationAreHidden from whoever has made it anew.
func TestBuildsOfAnEarlierApplicationAreHidden(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runs = runs()
	for i := range w.runs {
		w.runs[i].UIDs.Application = "earlier"
	}
	const own = "3"
	w.runs[1].UIDs.Application = "uid"
	var list []api.Build
	res := w.call(t, "read", http.MethodGet, api.Prefixes[0]+"/builds")
	if err := json.Unmarshal([]byte(body(t, res)), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].ID != w.runs[1].ID {
		t.Errorf("%+v", list)
	}
	for _, path := range []string{"", "/log"} {
		for _, r := range w.runs {
			want := http.StatusNotFound
			if strings.HasSuffix(r.ID, own) {
				want = http.StatusOK
			}
			if res := w.call(t, "read", http.MethodGet, api.Prefixes[0]+"/builds/"+r.ID+path); res.StatusCode != want {
				t.Error(path, r.ID, res.Status)
			}
		}
	}
	if res := w.call(t, "trigger", http.MethodDelete, api.Prefixes[0]+"/builds/"+w.runs[2].ID); res.StatusCode != 404 {
		t.Error(res.Status)
	}
}

// TestWhatWasNeverBuiltIsInTheListOfOldClients by its names alone (contract 5.4), and devices
// that cannot be listed are left out.
func TestWhatWasNeverBuiltIsInTheListOfOldClients(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for fails, want := range map[bool]string{
		true: `[{"app":"app"}]`, false: `[{"app":"app"},{"app":"app","device":"a b/c"},{"app":"app","device":"d"}]`,
	} {
		if w.fail["devices"] = nil; fails {
			w.fail["devices"] = errors.New("number out of range")
		}
		if got := body(t, w.call(t, "read", http.MethodGet, api.Prefixes[1]+"/")); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func lists(t *testing.T, w *world) {
	t.Helper()
	for path, want := range map[string][]string{
		"":                                 {"3 app Running", "2 app/d Failed", " app/a b/c "},
		"/":                                {"3 app Running", "2 app/d Failed", " app/a b/c "},
		"/builds":                          {"3 app Running", "2 app/d Failed", "1 app Succeeded"},
		"/builds?limit=1":                  {"3 app Running"},
		"/builds?limit=0":                  {},
		"/builds?application=app":          {"3 app Running", "1 app Succeeded"},
		"/builds?application=app&device=d": {"2 app/d Failed"},
		"/builds?application=foreign":      {},
	} {
		res := w.call(t, "read", http.MethodGet, api.Prefixes[1]+path)
		var list []api.Build
		if err := json.Unmarshal([]byte(body(t, res)), &list); err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, b := range list {
			got = append(
				got,
				b.ID[max(0, len(b.ID)-1):]+" "+build.ObjectRef{Application: b.Application, Device: b.Device}.String()+" "+b.Phase,
			)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(path, diff)
		}
	}
	for _, path := range []string{"/builds?limit=x", "/builds?limit=-1", "/builds?application=A", "/builds?device=d"} {
		if res := w.call(t, "read", http.MethodGet, api.Prefixes[0]+path); res.StatusCode != 400 {
			t.Error(path, res.Status)
		}
	}
}

func TestOneBuild(t *testing.T) {
	t.Parallel()
	const mine, foreign, ended = "0190f2a4-6c3b-7a57-8f0e-000000000003", "0190f2a4-6c3b-7a57-8f0e-000000000004", "0190f2a4-6c3b-7a57-8f0e-000000000001"
	const secret = "0190f2a4-6c3b-7a57-8f0e-000000000009"
	for _, tt := range []struct {
		name, token, method, path string
		want                      int
		body                      string
	}{
		{
			"is shown",
			"read",
			"GET",
			"/builds/" + mine,
			200,
			`{"app":"app","status":"Running","id":"` + mine + `","phase":"Running","reason":"Running","progress":0,"cause":"api","requested":"2026-01-02T03:07:05Z","updated":"2026-01-02T03:07:05Z","actions":[]}`,
		},
		{"of a foreign application looks missing", "read", "GET", "/builds/" + foreign, 404, ""},
		{"that is unknown is missing", "read", "GET", "/builds/" + id, 404, ""},
		{"of no valid id is missing", "read", "GET", "/builds/x", 404, ""},
		{"with secret variables has no log for who may only read", "read", "GET", "/builds/" + secret + "/log", 403, ""},
		{"with secret variables has a log for who may write", "write", "GET", "/builds/" + secret + "/log", 200, "== build-firmware\nfollow=false"},
		{"has a log", "read", "GET", "/builds/" + mine + "/log", 200, "== build-firmware\nfollow=false"},
		{"has a log that is followed", "read", "GET", "/builds/" + mine + "/log?follow=true", 200, "== build-firmware\nfollow=true"},
		{"has no log for strangers", "read", "GET", "/builds/" + foreign + "/log", 404, ""},
		{"is cancelled", "trigger", "DELETE", "/builds/" + mine, 202, ""},
		{"is not cancelled without the right", "read", "DELETE", "/builds/" + mine, 403, ""},
		{"is not cancelled by strangers", "trigger", "DELETE", "/builds/" + foreign, 404, ""},
		{"that has ended is not cancelled", "trigger", "DELETE", "/builds/" + ended, 409, ""},
		{"is not changed", "trigger", "PUT", "/builds/" + mine, 405, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.runs = append(runs(), build.Run{
				ID: secret, Name: build.RunName(secret), Object: build.ObjectRef{Application: "app"}, Secret: true,
			})
			res := w.call(t, tt.token, tt.method, api.Prefixes[0]+tt.path)
			text := body(t, res)
			if res.StatusCode != tt.want || (tt.body != "" && text != tt.body) {
				t.Errorf("%s %s", res.Status, text)
			}
			if wantSent := tt.want == 202; wantSent != (len(w.sent) == 1 && w.sent[0].Type() == event.TypeCancelled) {
				t.Error(w.sent)
			}
		})
	}
}

// TestABuildThatHasEndedSaysWhetherItsObjectShowsThat, or a newer build.
func TestABuildThatHasEndedSaysWhetherItsObjectShowsThat(t *testing.T) {
	t.Parallel()
	run := runs()[0]
	run.Requested = now.Add(-time.Minute)
	record := func(change func(*build.Record)) *build.Record {
		r := run.Record()
		r.Reason = build.ReasonSucceeded
		change(&r)
		return &r
	}
	for name, tt := range map[string]struct {
		device string
		record *build.Record
		want   *bool
	}{
		"its end":              {"", record(func(*build.Record) {}), new(true)},
		"its end, on a device": {"d", record(func(*build.Record) {}), new(true)},
		"a newer build":        {"", record(func(r *build.Record) { r.Build, r.Requested = id, now }), new(true)},
		"an older build": {"", record(func(r *build.Record) {
			r.Build, r.Requested = id, now.Add(-time.Hour)
		}), new(false)},
		"that it runs": {"", record(func(r *build.Record) {
			r.Phase, r.Reason = build.Running, build.ReasonBuilding
		}), new(false)},
		"nothing":                   {"", nil, new(false)},
		"that it is not there":      {"gone", nil, nil},
		"the end of an earlier one": {"", record(func(r *build.Record) { r.Object = "earlier" }), new(false)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.runs = []build.Run{run}
			w.runs[0].Object.Device = tt.device
			if tt.record != nil {
				data, err := json.Marshal(tt.record)
				if err != nil {
					t.Fatal(err)
				}
				w.record = string(data)
			}
			var got api.Build
			res := w.call(t, "read", http.MethodGet, api.Prefixes[0]+"/builds/"+run.ID)
			if err := json.Unmarshal([]byte(body(t, res)), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Recorded); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestACallerFollowsABoundedNumberOfLogs: each holds a connection to the cluster.
func TestACallerFollowsABoundedNumberOfLogs(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runs = runs()
	begun, end := make(chan struct{}), make(chan struct{})
	w.log = func() { begun <- struct{}{}; <-end }
	srv := httptest.NewServer(w.handler())
	defer srv.Close()
	follow := func() int {
		req, err := http.NewRequestWithContext(
			t.Context(), http.MethodGet,
			srv.URL+api.Prefixes[0]+"/builds/0190f2a4-6c3b-7a57-8f0e-000000000003/log?follow=true", nil,
		)
		if err != nil {
			t.Error(err)
			return 0
		}
		req.Header.Set("Authorization", "Bearer read")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return 0
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body) // until its end
		return res.StatusCode
	}
	codes := make(chan int, 16)
	for range 16 {
		go func() { codes <- follow() }()
		<-begun
	}
	if code := follow(); code != http.StatusTooManyRequests {
		t.Error(code)
	}
	close(end)
	for range 16 {
		if code := <-codes; code != http.StatusOK {
			t.Error(code)
		}
	}
	go func() { <-begun }()
	if code := follow(); code != http.StatusOK {
		t.Errorf("after the others have ended: %d", code)
	}
}

func TestBrowsersFromConfiguredOriginsOnly(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]string{"https://console": "https://console", "https://evil": "", "null": ""} {
		res := newWorld().call(
			t, "", http.MethodOptions, api.Prefixes[0], "Origin", origin, "Access-Control-Request-Method", "POST",
		)
		if got := res.Header.Get(
			"Access-Control-Allow-Origin",
		); got != want || res.StatusCode != 204 ||
			res.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %s %q", origin, res.Status, got)
		}
	}
}
