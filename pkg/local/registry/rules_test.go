// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/drogue-iot/ajour/pkg/local/registry"
)

// served is a running registry whose events are recorded. The token NAME is
// that of the user NAME, "root" has the role drogue-admin.
type served struct {
	t    *testing.T
	url  string
	path string
	reg  *registry.Server

	mu     sync.Mutex
	events []cloudevents.Event
	broken bool
}

func serve(t *testing.T) *served {
	t.Helper()
	r := &served{t: t, path: filepath.Join(t.TempDir(), "registry")}
	r.open()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { r.reg.ServeHTTP(w, req) }))
	r.url = srv.URL
	t.Cleanup(func() {
		srv.Close()
		if err := r.reg.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *served) open() {
	r.t.Helper()
	reg, err := registry.Open(r.path, registry.Options{
		Credentials: registry.Credentials{
			Bearer: func(_ *http.Request, token string) (registry.User, bool) {
				u := registry.User{ID: "id-" + token, Name: token}
				if token == "root" {
					u.Roles = []string{registry.AdminRole}
				}
				return u, !strings.HasPrefix(token, "bad")
			},
			Basic: func(user, token string) (registry.User, bool) {
				return registry.User{ID: "id-" + user}, token == "pat"
			},
			UserID: func(name string) (string, bool) { return "id-" + name, name != "nobody" },
		},
		Publish: func(_ context.Context, ev cloudevents.Event) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.broken {
				return errors.New("broken")
			}
			r.events = append(r.events, ev)
			return nil
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.reg = reg
}

func (r *served) setBroken(broken bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = broken
}

// do sends a request and returns "STATUS BODY". The user is put into the
// Authorization header as a bearer token unless it is empty or holds a space.
func (r *served) do(user, method, path, body string) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if strings.Contains(user, " ") {
		req.Header.Set("Authorization", user)
	} else if user != "" {
		req.Header.Set("Authorization", "Bearer "+user)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", res.StatusCode, strings.TrimSpace(string(data))))
}

const (
	apps    = "/api/registry/v1alpha1/apps"
	members = "/api/admin/v1alpha1/apps"
)

// must fails the test unless the answer starts with want.
func (r *served) must(want, user, method, path, body string) {
	r.t.Helper()
	if got := r.do(user, method, path, body); !strings.HasPrefix(got, want) {
		r.t.Errorf("%s %s %.80s as %q: got %s, want %s", method, path, body, user, got, want)
	}
}

// get decodes an object.
func (r *served) get(path string) (o struct {
	Metadata struct {
		UID, ResourceVersion, DeletionTimestamp string
		Generation                              int
		Finalizers                              []string
	}
	Spec, Status map[string]json.RawMessage
},
) {
	r.t.Helper()
	_, body, _ := strings.Cut(r.do("alice", "GET", path, ""), " ")
	if err := json.Unmarshal([]byte(body), &o); err != nil {
		r.t.Fatalf("%s: %v", body, err)
	}
	return o
}

// take returns the paths of the events since the last call, as "name path revision".
func (r *served) take() []string {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	list := []string{}
	for _, ev := range r.events {
		var data struct{ Revision int }
		if err := ev.DataAs(&data); err != nil {
			r.t.Fatal(err)
		}
		name := fmt.Sprint(ev.Extensions()["application"])
		if d, ok := ev.Extensions()["device"]; ok {
			name += "/" + fmt.Sprint(d)
		}
		list = append(list, fmt.Sprintf("%s %s %d", name, ev.Subject(), data.Revision))
	}
	r.events = nil
	return list
}

func (r *served) wantEvents(want ...string) {
	r.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), r.take()); diff != "" {
		r.t.Error(diff)
	}
}

const (
	conflict  = `409 {"error":"Conflict","message":"Conflict"}`
	notFound  = `404 {"error":"NotFound","message":"Not found"}`
	reference = `404 {"error":"ReferenceNotFound","message":"Referenced a non-existing entity"}`
	forbidden = `403 {"error":"Forbidden","message":"Forbidden"}`
	noRight   = `403 {"error":"AuthenticationError","message":"Not authorized"}`
	database  = `503 {"error":"DatabaseError","message":"Database error: db error: ERROR: `
)

func TestContract12And13ShapesAndMetadata(t *testing.T) {
	t.Parallel()
	r := serve(t)
	bad := "400 Json deserialize error: "
	for body, want := range map[string]string{
		`{`:                                 bad,
		`{}`:                                bad + "missing field `metadata`",
		`{"metadata":{}}`:                   bad + "missing field `name`",
		`{"metadata":{"name":"j"}} x`:       bad + "trailing characters",
		`{"metadata":{"name":"j","foo":1}}`: bad + "unknown field `foo`, expected one of `name`",
		`{"metadata":{"name":"j","application":"j"}}`:                                                            bad + "unknown field `application`",
		`{"metadata":{"name":"j","ownerReferences":[]}}`:                                                         bad + "unknown field `ownerReferences`",
		`{"metadata":{"name":"j","labels":null}}`:                                                                bad + "invalid type: null, expected a map",
		`{"metadata":{"name":"j","annotations":null}}`:                                                           bad + "invalid type: null",
		`{"metadata":{"name":"j","finalizers":null}}`:                                                            bad + "invalid type: null, expected a sequence",
		`{"metadata":{"name":"j","uid":null}}`:                                                                   bad + "invalid type: null, expected a string",
		`{"metadata":{"name":"j","resourceVersion":null}}`:                                                       bad + "invalid type: null",
		`{"metadata":{"name":"j","creationTimestamp":null}}`:                                                     bad + "invalid type: null",
		`{"metadata":{"name":"j","creationTimestamp":"x"}}`:                                                      bad,
		`{"metadata":{"name":"j","generation":null}}`:                                                            bad + "invalid type: null, expected u64",
		`{"metadata":{"name":"j","generation":-1}}`:                                                              bad,
		`{"metadata":{"name":"j","generation":1.5}}`:                                                             bad,
		`{"metadata":{"name":"j","labels":{"a":1}}}`:                                                             bad + "invalid type: integer `1`",
		`{"metadata":{"name":"j"},"spec":null}`:                                                                  bad + "invalid type: null, expected a map",
		`{"metadata":{"name":"j"},"status":null}`:                                                                bad + "invalid type: null, expected a map",
		`{"metadata":{"name":"j"},"spec":[]}`:                                                                    bad + "invalid type: sequence, expected a map",
		`{"metadata":{"name":"j"},"metadata":{"name":"k"}}`:                                                      bad + "duplicate field `metadata`",
		`{"metadata":{"name":"j"},"spec":{"c":1e400}}`:                                                           bad + "number out of range",
		`{"metadata":{"name":"j"},"spec":` + strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200) + "}": bad + "recursion limit exceeded",
		"{\"metadata\":{\"name\":\"j\",\"annotations\":{\"a\":\"\xff\"}}}":                                       bad + "invalid unicode code point",
		`{"metadata":{"name":"j"},"spec":{"a":"\ud800"}}`:                                                        bad + "unexpected end of hex escape",
		`{"metadata":{"name":"j"},"spec":{"a\u0000b":1}}`:                                                        database + "unsupported Unicode escape",
		`{"metadata":{"name":"j"},"spec":{"a":"x\u0000"}}`:                                                       database + "unsupported Unicode escape",
		`{"metadata":{"name":"j","finalizers":["` + strings.Repeat("f", 64) + `"]}}`:                             database + "value too long for type character varying(63)",
	} {
		r.must(want, "alice", "POST", apps, body)
	}
	for i, more := range []string{
		`}}`, `},"kind":"App","foo":null}`, `,"deletionTimestamp":null}}`,
		`,"generation":77,"uid":"zzz","resourceVersion":"y","creationTimestamp":"2001-01-01T00:00:00Z","deletionTimestamp":"2001-01-01T00:00:00Z"}}`,
		`,"labels":{"":"","a b/c d":"ü x"}}}`, `,"finalizers":["","` + strings.Repeat("é", 63) + `"]}}`,
		`,"labels":{"a":"b","a":"c"}},"spec":{"a":null,"b":5,"c":"x","d":[],"a":2}}`, `},"spec":{"a":"\\u0000"}}`,
		`},"spec":{"a":"\ud83d\uDE00 \\ud800"}}`,
	} {
		r.must("201", "alice", "POST", apps, fmt.Sprintf(`{"metadata":{"name":"ok%d"`, i)+more)
	}
	o := r.get(apps + "/ok3")
	if o.Metadata.Generation != 0 || o.Metadata.UID == "zzz" || o.Metadata.DeletionTimestamp != "" {
		t.Errorf("immutable metadata was taken over: %+v", o)
	}
	if got := r.do("alice", "GET", apps+"/ok6", ""); !strings.Contains(
		got,
		`"labels":{"a":"c"}},"spec":{"a":2,"b":5,"c":"x","d":[]}}`,
	) {
		t.Errorf("the last of duplicate keys does not win: %s", got)
	}
}

func TestContract14Names(t *testing.T) {
	t.Parallel()
	r := serve(t)
	post := func(want, name string) {
		t.Helper()
		quoted, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		r.must(want, "alice", "POST", apps, `{"metadata":{"name":`+string(quoted)+`}}`)
	}
	y64 := strings.Repeat("y", 31) + "." + strings.Repeat("y", 32)
	for _, name := range []string{"a", "0", "1.2.3.4", "a--b", "a.b.c", strings.Repeat("x", 63), y64} {
		post("201", name)
	}
	for _, name := range []string{"", "UPPER", "-a", "a-", "a..b", ".a", "a.", "a_b", "a b", "a/b", "ü", strings.Repeat("x", 64), strings.Repeat("y.", 128)} {
		if got := r.do("alice", "POST", apps, `{"metadata":{"name":"`+name+`"}}`); got != "400" {
			t.Errorf("%q: %s", name, got)
		}
	}
	post(database+"value too long for type character varying(64)", "x."+y64)
	post(conflict, "a")
	r.must(
		"201", "alice", "POST", apps+"/a/devices",
		`{"metadata":{"application":"a","name":"`+strings.Repeat("x", 255)+`"}}`,
	)
	r.must(
		"400", "alice", "POST", apps+"/a/devices",
		`{"metadata":{"application":"a","name":"`+strings.Repeat("é", 128)+`"}}`,
	)
	r.must("400", "alice", "POST", apps+"/a/devices", `{"metadata":{"application":"a","name":""}}`)
	r.must("400", "alice", "POST", apps+"/a/devices", `{"metadata":{"application":"","name":"x"}}`)
	r.must(
		"400 Json deserialize error: missing field `application`", "alice", "POST", apps+"/a/devices",
		`{"metadata":{"name":"x"}}`,
	)
	r.must(database, "alice", "POST", apps+"/a/devices", `{"metadata":{"application":"a","name":"a\u0000b"}}`)
	r.must(database, "alice", "GET", apps+"/a/devices/a%00b", "")
	r.must("201", "alice", "POST", apps+"/nosuch/devices", `{"metadata":{"application":"a","name":"mm"}}`)
	r.must("200", "alice", "GET", apps+"/a/devices/mm", "")
	r.must("400", "alice", "PUT", apps+"/a/devices/mm", `{"metadata":{"application":"a","name":"x"}}`)
	r.must("400", "alice", "PUT", apps+"/a/devices/mm", `{"metadata":{"application":"ax","name":"mm"}}`)
	for _, path := range []string{"/", "//devices", "/a/", "/a/devices/", "/a/status", "/a/devices/mm/status", "/A", "/%20", "/a/devices/%FF"} {
		r.must("404", "alice", "GET", apps+path, "")
	}
}

func TestContract14Aliases(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.must("201", "alice", "POST", apps, `{"metadata":{"name":"a"}}`)
	dev := func(want, name, spec string) {
		t.Helper()
		r.must(
			want, "alice", "POST", apps+"/a/devices",
			`{"metadata":{"application":"a","name":"`+name+`"},"spec":{`+spec+`}}`,
		)
	}
	dev("201", "al1", `"alias":["al2"]`)
	dev(conflict, "al2", ``)
	dev("201", "al3", `"aliases":["zz"]`)
	dev("201", "zz", ``)
	dev("201", "un", `"authentication":{"credentials":[{"user":{"username":"uu","password":"p","unique":true}}]}`)
	dev(conflict, "uu", ``)
	dev("201", "old", `"credentials":{"credentials":[{"user":{"username":"ou","password":"p","unique":true}}]}`)
	dev(conflict, "ou", ``)
	dev(conflict, "me", `"alias":["me"]`)
	dev(database+"value too long for type character varying(256)", "long", `"alias":["`+strings.Repeat("q", 257)+`"]`)
	r.must("404", "alice", "GET", apps+"/a/devices/al2", "")
	r.must(
		conflict, "alice", "PUT", apps+"/a/devices/zz",
		`{"metadata":{"application":"a","name":"zz"},"spec":{"alias":["al1"]}}`,
	)

	// A name is free when its device gave it up, or is gone.
	r.must(
		"204",
		"alice",
		"PUT",
		apps+"/a/devices/al1",
		`{"metadata":{"application":"a","name":"al1"},"spec":{"alias":["al4"]}}`,
	)
	dev("201", "al2", ``)
	dev(conflict, "al4", ``)
	r.must("204", "alice", "DELETE", apps+"/a/devices/al1", "")
	dev("201", "al4", `"alias":["al1"]`)
	r.must("201", "alice", "POST", apps, `{"metadata":{"name":"b"}}`)
	r.must("201", "alice", "POST", apps+"/b/devices", `{"metadata":{"application":"b","name":"al1"}}`)

	// So are those of the devices of an application that is deleted.
	r.must("204", "alice", "DELETE", apps+"/b", "")
	r.must("201", "alice", "POST", apps, `{"metadata":{"name":"b"}}`)
	r.must(
		"201",
		"alice",
		"POST",
		apps+"/b/devices",
		`{"metadata":{"application":"b","name":"al9"},"spec":{"alias":["al1"]}}`,
	)

	// The names are known to a later process, and where an earlier version did not write them, or not all.
	for _, earlier := range []bool{false, true} {
		if err := r.reg.Close(); err != nil {
			t.Fatal(err)
		}
		if earlier {
			db, err := bbolt.Open(r.path, 0o600, nil)
			if err == nil {
				err = errors.Join(db.Update(func(tx *bbolt.Tx) error {
					b := tx.Bucket([]byte("aliases"))
					return errors.Join(b.Delete([]byte("a\x00uu")), b.Put([]byte("a\x00gone"), []byte("gone")))
				}), db.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		r.open()
		dev(conflict, "al1", ``)
		dev(conflict, "uu", ``)
	}
	dev("201", "gone", ``)
}

// BenchmarkNewDevice makes a device of an application that has 10,000 already, and reads a page of them.
func BenchmarkNewDevice(b *testing.B) {
	reg, err := registry.Open(filepath.Join(b.TempDir(), "registry"), registry.Options{
		Credentials: registry.Credentials{
			Bearer: func(*http.Request, string) (registry.User, bool) { return registry.User{ID: "alice"}, true },
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer reg.Close()
	call := func(method, path, body string) {
		w := httptest.NewRecorder()
		req := httptest.NewRequestWithContext(b.Context(), method, apps+path, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer x")
		req.Header.Set("Content-Type", "application/json")
		if reg.ServeHTTP(w, req); w.Code >= http.StatusBadRequest {
			b.Fatal(w.Code, w.Body)
		}
	}
	call(http.MethodPost, "", `{"metadata":{"name":"a"}}`)
	n := 0
	device := func() {
		n++
		call(http.MethodPost, "/a/devices", fmt.Sprintf(`{"metadata":{"application":"a","name":"d%06d"}}`, n))
	}
	for range 10_000 {
		device()
	}
	b.Run("post", func(b *testing.B) {
		for b.Loop() {
			device()
		}
	})
	b.Run("page", func(b *testing.B) {
		for b.Loop() {
			call(http.MethodGet, "/a/devices?limit=100&offset=9000", "")
		}
	})
}

func TestContract15Locking(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.must("201", "alice", "POST", apps, `{"metadata":{"name":"a"}}`)
	r.must("201", "alice", "POST", apps+"/a/devices", `{"metadata":{"application":"a","name":"d"}}`)
	for path, meta := range map[string]string{apps + "/a": `"name":"a"`, apps + "/a/devices/d": `"application":"a","name":"d"`} {
		o := r.get(path)
		uid, rv := o.Metadata.UID, o.Metadata.ResourceVersion
		other, null := "7fc111ab-c647-454d-9836-bfc8f633432e", "00000000-0000-0000-0000-000000000000"
		for _, tt := range []struct{ uid, rv, want string }{
			{"", "", "204"},
			{uid, "", "204"},
			{"", rv, "204"},
			{uid, rv, "204"},
			{other, "", conflict},
			{"x", "", conflict},
			{other, rv, conflict},
			{uid, other, conflict},
			{"", "x", conflict},
			{null, "", conflict},
			{"", null, conflict},
			{" " + uid, "", conflict},
			{strings.ToUpper(uid), strings.ToUpper(rv), "204"},
			{strings.ReplaceAll(uid, "-", ""), "", "204"},
			{"{" + uid + "}", "", "204"},
			{"urn:uuid:" + uid, "", "204"},
		} {
			r.must(
				tt.want, "alice", "PUT", path,
				fmt.Sprintf(`{"metadata":{%s,"uid":%q,"resourceVersion":%q}}`, meta, tt.uid, tt.rv),
			)
		}
		// Nothing differed, so the version is still the same.
		if diff := cmp.Diff(o, r.get(path)); diff != "" {
			t.Error(diff)
		}
	}
	r.must("400", "alice", "PUT", apps+"/nosuch", `{"metadata":{"name":"other"}}`)
	r.must(notFound, "alice", "PUT", apps+"/nosuch", `{"metadata":{"name":"nosuch"}}`)
	r.must("400 Json", "alice", "PUT", apps+"/nosuch", `{`)
	r.must("400 Content type error", "alice", "PUT", apps+"/a", ``)
	r.must(notFound, "alice", "PUT", apps+"/a/devices/nosuch", `{"metadata":{"application":"a","name":"nosuch"}}`)
	r.must(noRight, "bob", "PUT", apps+"/a", `{"metadata":{"name":"a","uid":"x"}}`)
}

func TestContract16And35VersionsAndEvents(t *testing.T) {
	t.Parallel()
	r := serve(t)
	version := func() (int, string) {
		o := r.get(apps + "/a")
		return o.Metadata.Generation, o.Metadata.ResourceVersion
	}
	r.must("201", "alice", "POST", apps, `{"metadata":{"name":"a"},"spec":{"zz":1,"b":1}}`)
	r.wantEvents("a . 0")
	gen, rv := version()
	step := func(body string, bumps int, events ...string) {
		t.Helper()
		r.must("204", "alice", "PUT", apps+"/a", body)
		r.wantEvents(events...)
		nextGen, nextRV := version()
		if nextGen != gen+bumps || (nextRV != rv) != (len(events) > 0) {
			t.Errorf("%s: generation %d to %d, version changed: %v", body, gen, nextGen, nextRV != rv)
		}
		gen, rv = nextGen, nextRV
	}
	step(`{"metadata":{"name":"a"},"spec":{"b":1,"zz":1}}`, 0)
	step(`{"metadata":{"name":"a"},"spec":{"b":1,"zz":1},"status":{"s":{}}}`, 0, "a .status.s 1")
	step(`{"metadata":{"name":"a","labels":{"x":"y"}},"spec":{"b":1,"zz":1},"status":{"s":{}}}`, 0, "a .metadata 2")
	// Sections that existed come first in column order, then new ones in body order.
	step(
		`{"metadata":{"name":"a"},"spec":{"zz":2,"b":2,"new2":1,"n":null},"status":{"z":1,"y":1}}`, 1,
		"a .metadata 3", "a .spec.b 3", "a .spec.zz 3", "a .spec.new2 3", "a .spec.n 3", "a .status.s 3",
		"a .status.z 3", "a .status.y 3",
	)
	step(`{"metadata":{"name":"a"},"spec":{"zz":2,"b":2,"new2":1},"status":{"z":1,"y":1}}`, 1, "a .spec.n 4")
	step(`{"metadata":{"name":"a"}}`, 1, "a .spec.b 5", "a .spec.zz 5", "a .spec.new2 5", "a .status.y 5", "a .status.z 5")
	step(`{"metadata":{"name":"a"},"spec":{"":1,"a.b":2,"ü /":3}}`, 1, "a .spec. 6", "a .spec.a.b 6", "a .spec.ü / 6")
	step(`{"metadata":{"name":"a","finalizers":["f","g","f"]},"spec":{"":1,"a.b":2,"ü /":3}}`, 0, "a .metadata 7")
	step(`{"metadata":{"name":"a","finalizers":["g","f","f"]},"spec":{"":1,"a.b":2,"ü /":3}}`, 0, "a .metadata 8")
	for name, want := range map[string]string{
		strings.Repeat("s", 249): "204", strings.Repeat("s", 250): database + "value too long for type character varying(255)",
	} {
		r.must(want, "alice", "PUT", apps+"/a", `{"metadata":{"name":"a"},"spec":{"`+name+`":1}}`)
	}
}

func TestN3Numbers(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.must("201", "alice", "POST", apps, `{"metadata":{"name":"a"}}`)
	for _, tt := range []struct {
		in, out string
		event   bool
	}{
		{"1", "1", true},
		{"1.0", "1.0", true},
		{"1e0", "1.0", false},
		{"100", "100", true},
		{"1e2", "100.0", true},
		{"100.0", "100.0", false},
		{"12345678901234567890123", "1.2345678901234568e22", true},
		{"12345678901234567890124", "1.2345678901234568e22", false},
		{"0.1", "0.1", true},
		{"0.10", "0.1", false},
		{"0.1000000000000000055", "0.1", false},
		{"9007199254740993", "9007199254740993", true},
		{"9007199254740992.0", "9007199254740992.0", true},
		{"-0", "0.0", true},
		{"-0.0", "0.0", false},
		{"0", "0", true},
		{"18446744073709551615", "18446744073709551615", true},
		{"1e-7", "1e-7", true},
		{"-9223372036854775809", "-9.223372036854776e18", true},
		{"1e16", "10000000000000000", true},
		{"1e15", "1000000000000000.0", true},
		{"18446744073709551616", "1.8446744073709552e19", true},
	} {
		r.take()
		r.must("204", "alice", "PUT", apps+"/a", `{"metadata":{"name":"a"},"spec":{"x":`+tt.in+`}}`)
		if got := string(r.get(apps + "/a").Spec["x"]); got != tt.out || (len(r.take()) > 0) != tt.event {
			t.Errorf("%s became %s, want %s", tt.in, got, tt.out)
		}
	}
}

func TestContract34UidsOfEvents(t *testing.T) {
	t.Parallel()
	r := serve(t)
	uid := func() string {
		t.Helper()
		r.mu.Lock()
		defer r.mu.Unlock()
		var data struct{ UID string }
		if err := r.events[len(r.events)-1].DataAs(&data); err != nil {
			t.Fatal(err)
		}
		return data.UID
	}
	r.must("201", "alice", "POST", apps, `{"metadata":{"name":"a"}}`)
	if app := r.get(apps + "/a").Metadata.UID; uid() != app {
		t.Error("application created: wrong uid")
	}
	r.must("204", "alice", "PUT", apps+"/a", `{"metadata":{"name":"a"},"spec":{"x":1}}`)
	if uid() != "00000000-0000-0000-0000-000000000000" {
		t.Error("application updated: uid is not nil")
	}
	r.must("201", "alice", "POST", apps+"/a/devices", `{"metadata":{"application":"a","name":"d"}}`)
	dev := r.get(apps + "/a/devices/d").Metadata.UID
	if uid() == dev {
		t.Error("device created: uid is the stored one")
	}
	r.must("204", "alice", "PUT", apps+"/a/devices/d", `{"metadata":{"application":"a","name":"d"},"spec":{"x":1}}`)
	if uid() != dev {
		t.Error("device updated: wrong uid")
	}
}

func TestContract32EventAttributes(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.must("201", "alice", "POST", apps, `{"metadata":{"name":"a"}}`)
	r.must("201", "alice", "POST", apps+"/a/devices", `{"metadata":{"application":"a","name":"x/y"}}`)
	want := []map[string]any{
		{
			"type":         "io.drogue.registry.change.application",
			"source":       "drogue:/drogue/a",
			"subject":      ".",
			"application":  "a",
			"instance":     "drogue",
			"partitionkey": "drogue/a",
		},
		{
			"type":         "io.drogue.registry.change.device",
			"source":       "drogue:/drogue/a/x%2Fy",
			"subject":      ".",
			"application":  "a",
			"device":       "x/y",
			"instance":     "drogue",
			"partitionkey": "drogue/a/x/y",
		},
	}
	var got []map[string]any
	for _, ev := range r.events {
		if err := ev.Validate(); err != nil {
			t.Error(err)
		}
		m := map[string]any{"type": ev.Type(), "source": ev.Source(), "subject": ev.Subject()}
		for k, v := range ev.Extensions() {
			m[k] = v
		}
		got = append(got, m)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestContract18Delete(t *testing.T) {
	t.Parallel()
	r := serve(t)
	fresh := func(finalizers string) string {
		t.Helper()
		r.must("201", "alice", "POST", apps, `{"metadata":{"name":"a","finalizers":[`+finalizers+`]}}`)
		r.take()
		return r.get(apps + "/a").Metadata.UID
	}
	uid := fresh("")
	other := "7fc111ab-c647-454d-9836-bfc8f633432e"
	r.must(conflict, "alice", "DELETE", apps+"/a", `{"preconditions":{"uid":"`+other+`"}}`)
	r.must(conflict, "alice", "DELETE", apps+"/a", `{"preconditions":{"resourceVersion":"`+other+`"}}`)
	r.must(conflict, "alice", "DELETE", apps+"/a", `{"preconditions":{"uid":"x"}}`)
	r.must("204", "alice", "DELETE", apps+"/a", `{"preconditions":{"uid":"`+uid+`"}}`)
	r.wantEvents("a . 1")
	r.must("404", "alice", "GET", apps+"/a", "")
	for _, ignored := range []string{`{"preconditions":{"uid":"` + other + `"`, `{"preconditions":null}`, `{"uid":"` + other + `"}`, ""} {
		fresh("")
		r.must("204", "alice", "DELETE", apps+"/a", ignored)
		r.must("404", "alice", "GET", apps+"/a", "")
	}
	r.must(notFound, "alice", "DELETE", apps+"/a", "")

	// Soft deletion: visible, editable, not deletable a second time, no new devices.
	fresh(`"f"`)
	r.must("204", "alice", "DELETE", apps+"/a", "")
	r.wantEvents("a .metadata 1")
	if o := r.get(apps + "/a"); o.Metadata.DeletionTimestamp == "" || o.Metadata.Generation != 0 {
		t.Errorf("%+v", o)
	}
	r.must(notFound, "alice", "DELETE", apps+"/a", "")
	r.must(notFound, "mallory", "DELETE", apps+"/a", "")
	r.must(noRight, "mallory", "GET", apps+"/a", "")
	r.must(conflict, "alice", "POST", apps, `{"metadata":{"name":"a"}}`)
	r.must(reference, "alice", "POST", apps+"/a/devices", `{"metadata":{"application":"a","name":"d"}}`)
	r.take()
	r.must("204", "alice", "PUT", apps+"/a", `{"metadata":{"name":"a"}}`)
	r.wantEvents()
	r.must("404", "alice", "GET", apps+"/a", "")
}

func TestX1HasDevices(t *testing.T) {
	t.Parallel()
	r := serve(t)
	setup := func() {
		t.Helper()
		r.must("201", "alice", "POST", apps, `{"metadata":{"name":"a"}}`)
		r.must("201", "alice", "POST", apps+"/a/devices", `{"metadata":{"application":"a","name":"plain"}}`)
		r.must("201", "alice", "POST", apps+"/a/devices", `{"metadata":{"application":"a","name":"held","finalizers":["f"]}}`)
		r.take()
		r.must("204", "alice", "DELETE", apps+"/a", "")
		r.wantEvents("a .metadata 1")
		r.must("404", "alice", "GET", apps+"/a/devices/plain", "")
		if diff := cmp.Diff([]string{"has-devices"}, r.get(apps+"/a").Metadata.Finalizers); diff != "" {
			t.Error(diff)
		}
	}
	setup() // the PUT that empties the finalizers of the last deleted device takes all with it
	r.must("204", "alice", "DELETE", apps+"/a/devices/held", "")
	r.wantEvents("a/held .metadata 1")
	r.must("204", "alice", "PUT", apps+"/a/devices/held", `{"metadata":{"application":"a","name":"held"}}`)
	r.wantEvents()
	r.must("404", "alice", "GET", apps+"/a", "")

	setup() // a plain DELETE of the last device leaves the application for ever
	r.must("204", "alice", "PUT", apps+"/a/devices/held", `{"metadata":{"application":"a","name":"held"}}`)
	r.must("204", "alice", "DELETE", apps+"/a/devices/held", "")
	r.must("200", "alice", "GET", apps+"/a", "")
	r.must(notFound, "alice", "DELETE", apps+"/a", "")
	r.must("204", "alice", "PUT", apps+"/a", `{"metadata":{"name":"a"}}`)

	setup() // N7: removing has-devices by hand takes the devices with it
	r.must("204", "alice", "PUT", apps+"/a", `{"metadata":{"name":"a"}}`)
	r.must("404", "alice", "GET", apps+"/a/devices/held", "")
}

// TestN5BodiesAndHeaders: what the real service reads, and what it answers to browsers.
func TestN5BodiesAndHeaders(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.must("201", "alice", "POST", apps, `{"metadata":{"name":"a"}}`)
	call := func(method, path, body string, header ...string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer alice")
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write([]byte(`{"metadata":{"name":"a"},"spec":{"zipped":true}}`)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	const named = `{"metadata":{"name":"a"}}`
	stale := `{"preconditions":{"uid":"x"}}`
	for _, tt := range []struct {
		method, body string
		header       []string
		want         int
	}{
		{http.MethodPut, named, []string{"Content-Type", "text/json"}, http.StatusNoContent},
		{http.MethodPut, named, []string{"Content-Type", "application/x+json; charset=utf-8"}, http.StatusNoContent},
		{http.MethodPut, named, []string{"Content-Type", "text/plain"}, http.StatusBadRequest},
		{
			http.MethodPut, zipped.String(),
			[]string{"Content-Type", "application/json", "Content-Encoding", "gzip"},
			http.StatusNoContent,
		},
		{http.MethodDelete, stale, []string{"Content-Type", "application/x+json"}, http.StatusConflict},
		{http.MethodPatch, "", nil, http.StatusMethodNotAllowed},
	} {
		res := call(tt.method, apps+"/a", tt.body, tt.header...)
		res.Body.Close()
		if res.StatusCode != tt.want {
			t.Errorf("%s with %q: %s", tt.method, tt.header, res.Status)
		}
	}
	if string(r.get(apps + "/a").Spec["zipped"]) != "true" {
		t.Error("a compressed body was not read")
	}

	res := call(http.MethodPost, members+"/a/members", "")
	res.Body.Close()
	if got := res.Header.Get("Allow"); got != "GET, PUT" {
		t.Errorf("members allow %q", got)
	}
	res = call(
		http.MethodPost, apps+"/a/devices", `{"metadata":{"application":"a","name":"a b/é#%"}}`,
		"Content-Type", "application/json",
	)
	res.Body.Close()
	if got := res.Header.Get("Location"); got != r.url+apps+"/a/devices/a%20b/%C3%A9%23%" {
		t.Errorf("created at %q", got)
	}
	res = call(http.MethodGet, apps+"/a", "", "Origin", "https://console")
	res.Body.Close()
	if h := res.Header; h.Get("Access-Control-Allow-Origin") != "https://console" ||
		h.Get("Access-Control-Allow-Credentials") != "true" || !strings.HasPrefix(h.Get("Vary"), "Origin, ") {
		t.Errorf("%v", h)
	}
	res = call(
		http.MethodOptions, apps+"/a", "", "Origin", "https://console", "Access-Control-Request-Method", "PUT",
		"Access-Control-Request-Headers", "authorization",
	)
	res.Body.Close()
	if h := res.Header; res.StatusCode != http.StatusOK || h.Get("Access-Control-Max-Age") != "3600" ||
		!strings.Contains(h.Get("Access-Control-Allow-Methods"), "PUT") ||
		h.Get("Access-Control-Allow-Headers") != "authorization" {
		t.Errorf("%s %v", res.Status, h)
	}
}
