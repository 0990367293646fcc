// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package drogue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/drogue"
	"github.com/drogue-iot/ajour/pkg/local/registry"
)

// users accepts "NAME" as the token of the user NAME.
var users = registry.Credentials{
	Bearer: func(_ *http.Request, token string) (registry.User, bool) {
		return registry.User{ID: "id-" + token, Name: token}, !strings.HasPrefix(token, "bad")
	},
	Basic: func(user, token string) (registry.User, bool) {
		return registry.User{ID: "id-" + user, Name: user}, token == "pat"
	},
	UserID: func(name string) (string, bool) { return "id-" + name, true },
}

func serve(t *testing.T, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	reg, err := registry.Open(filepath.Join(t.TempDir(), "registry"), registry.Options{Credentials: users})
	if err != nil {
		t.Fatal(err)
	}
	var h http.Handler = reg
	if wrap != nil {
		h = wrap(h)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		srv.Close()
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv.URL
}

func create(t *testing.T, url, path, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(
		t.Context(), http.MethodPost, url+"/api/registry/v1alpha1/apps"+path, strings.NewReader(body),
	)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer alice")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		t.Fatalf("create %s: %s", path, res.Status)
	}
}

// set returns a change that sets one section.
func set(value string) func(build.Object) (bool, error) {
	return func(o build.Object) (bool, error) {
		o.SetStatus("firmware", json.RawMessage(value))
		return true, nil
	}
}

func TestUpdateKeepsEverythingElse(t *testing.T) {
	t.Parallel()
	url := serve(t, nil)
	create(t, url, "", `{"metadata":{"name":"a","labels":{"l":"<&>"},"annotations":{"x":"y"},"finalizers":["f"]},
		"spec":{"n":{"big":18446744073709551615,"one":1.0,"exp":1e2},"empty":{},"nul":null},
		"status":{"conditions":[{"type":"KafkaReady","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`)
	c := drogue.New(url, http.DefaultClient, drogue.Bearer("alice"))
	target := build.ObjectRef{Application: "a"}
	before, err := c.Get(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Update(t.Context(), target, set(`{"conditions":[]}`)); err != nil {
		t.Fatal(err)
	}
	after, err := c.Get(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	plain := func(o *drogue.Object) map[string]any {
		data, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		delete(m["metadata"].(map[string]any), "resourceVersion")
		return m
	}
	want := plain(before)
	want["status"].(map[string]any)["firmware"] = map[string]any{"conditions": []any{}}
	if diff := cmp.Diff(want, plain(after)); diff != "" {
		t.Error(diff)
	}
}

func TestUpdateOfADeviceWithAnOddName(t *testing.T) {
	t.Parallel()
	url := serve(t, nil)
	create(t, url, "", `{"metadata":{"name":"a"}}`)
	c := drogue.New(url, http.DefaultClient, drogue.Basic("alice", "pat"))
	for _, name := range []string{"a b", "a/b", "a#b", "a%2Fb", "..", ".", "a?b", "a+b", "é😀", "a\nb", " ", `"q"\`} {
		quoted, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		create(t, url, "/a/devices", `{"metadata":{"application":"a","name":`+string(quoted)+`}}`)
		target := build.ObjectRef{Application: "a", Device: name}
		if err := c.Update(t.Context(), target, set(`{"x":1}`)); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		o, err := c.Get(t.Context(), target)
		if err != nil {
			t.Errorf("%q: %v", name, err)
		} else if diff := cmp.Diff(target, o.Ref()); diff != "" || string(o.Status("firmware")) != `{"x":1}` {
			t.Error(diff, string(o.Status("firmware")))
		}
	}
}

func TestConcurrentUpdatesAreAllApplied(t *testing.T) {
	t.Parallel()
	url := serve(t, nil)
	create(t, url, "", `{"metadata":{"name":"a"}}`)
	c := drogue.New(url, http.DefaultClient, drogue.Bearer("alice"))
	target := build.ObjectRef{Application: "a"}
	const writers, rounds = 6, 5
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range rounds {
				err := c.Update(t.Context(), target, func(o build.Object) (bool, error) {
					var n int
					if raw := o.Status("n"); raw != nil {
						if err := json.Unmarshal(raw, &n); err != nil {
							return false, err
						}
					}
					o.SetStatus("n", fmt.Append(nil, n+1))
					return true, nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	o, err := c.Get(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(o.Status("n")); got != strconv.Itoa(writers*rounds) {
		t.Errorf("got %s", got)
	}
}

func TestErrorsByKind(t *testing.T) {
	t.Parallel()
	url := serve(t, nil)
	create(t, url, "", `{"metadata":{"name":"a"}}`)
	create(t, url, "/a/devices", `{"metadata":{"application":"a","name":"d"}}`)
	closed := httptest.NewServer(nil)
	closed.Close()
	ctx := context.Background()
	app, dev := build.ObjectRef{Application: "a"}, build.ObjectRef{Application: "a", Device: "d"}
	get := func(base, token string, target build.ObjectRef) error {
		_, err := drogue.New(base, http.DefaultClient, drogue.Bearer(token)).Get(ctx, target)
		return err
	}
	tests := []struct {
		name string
		err  error
		want error
	}{
		{"a missing application", get(url, "alice", build.ObjectRef{Application: "x"}), drogue.ErrNotFound},
		{"a foreign application", get(url, "bob", app), drogue.ErrForbidden},
		{"a foreign device looks missing", get(url, "bob", dev), drogue.ErrNotFound},
		{"bad credentials", get(url, "bad", app), drogue.ErrUnauthenticated},
		{"an empty token is never sent", get(url, " ", app), drogue.ErrUnauthenticated},
		{"an issuer that is away", func() error {
			_, err := drogue.New(url, http.DefaultClient, func(context.Context, http.Header) error {
				return errors.New("no token")
			}).Get(ctx, app)
			return err
		}(), drogue.ErrUnavailable},
		{"a registry that is away", get(closed.URL, "alice", app), drogue.ErrUnavailable},
		{
			"an object that became too large",
			drogue.New(url, http.DefaultClient, drogue.Bearer("alice")).Update(
				ctx,
				app,
				set(`"`+strings.Repeat("x", 65536)+`"`),
			),
			drogue.ErrRejected,
		},
		{
			"a write by a stranger",
			drogue.New(url, http.DefaultClient, drogue.Bearer("bob")).Update(ctx, dev, set(`{}`)), drogue.ErrNotFound,
		},
	}
	for _, tt := range tests {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, tt.err, tt.want)
		}
	}
}

func TestUpdateRetriesWhatMayPass(t *testing.T) {
	t.Parallel()
	var puts atomic.Int64
	url := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// After a 502 the change was stored (REG-10): a second read finds it.
			if r.Method == http.MethodPut && puts.Add(1) <= 2 {
				next.ServeHTTP(httptest.NewRecorder(), r)
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	create(t, url, "", `{"metadata":{"name":"a"}}`)
	c := drogue.New(url, http.DefaultClient, drogue.Bearer("alice"))
	err := c.Update(t.Context(), build.ObjectRef{Application: "a"}, func(o build.Object) (bool, error) {
		if o.Status("firmware") != nil {
			return false, nil
		}
		return set(`{}`)(o)
	})
	if err != nil || puts.Load() != 1 {
		t.Errorf("%d writes, %v", puts.Load(), err)
	}
}

// TestTheRightToWriteIsAskedWithoutAWrite of owners, members and strangers.
func TestTheRightToWriteIsAskedWithoutAWrite(t *testing.T) {
	t.Parallel()
	var written atomic.Int64
	url := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			if r.Method == http.MethodPut && rec.Code == http.StatusNoContent && strings.Contains(r.URL.Path, "/registry/") {
				written.Add(1)
			}
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
		})
	})
	create(t, url, "", `{"metadata":{"name":"a"}}`)
	create(t, url, "/a/devices", `{"metadata":{"application":"a","name":"x/y"}}`)
	req, err := http.NewRequestWithContext(
		t.Context(), http.MethodPut, url+"/api/admin/v1alpha1/apps/a/members",
		strings.NewReader(`{"members":{"mia":{"role":"manager"},"rob":{"role":"reader"}}}`),
	)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer alice")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != http.StatusNoContent {
		t.Fatal(res, err)
	}
	res.Body.Close()
	c := drogue.New(url, http.DefaultClient, drogue.Bearer("none"))
	for token, want := range map[string]bool{"alice": true, "mia": true, "rob": false, "eve": false} {
		for _, o := range []build.ObjectRef{{Application: "a"}, {Application: "a", Device: "x/y"}} {
			if got, err := c.MayWriteAs(t.Context(), token, o); err != nil || got != want {
				t.Errorf("%s, %s: %t %v", token, o, got, err)
			}
		}
	}
	for _, o := range []build.ObjectRef{{Application: "none"}, {Application: "a", Device: "none"}} {
		if got, err := c.MayWriteAs(t.Context(), "alice", o); err != nil || got {
			t.Errorf("%s: %t %v", o, got, err)
		}
	}
	if _, err := c.MayWriteAs(t.Context(), "bad", build.ObjectRef{Application: "a"}); !errors.Is(
		err, build.ErrUnauthenticated,
	) {
		t.Error(err)
	}
	if n := written.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
}

// TestListsSayWhatIsDescribed and which uid it has.
func TestListsSayWhatIsDescribed(t *testing.T) {
	t.Parallel()
	url := serve(t, nil)
	const build1 = `{"firmware":{"hawkbit":{"build":{}}}}`
	create(t, url, "", `{"metadata":{"name":"a"},"spec":`+build1+`}`)
	create(t, url, "", `{"metadata":{"name":"b"},"spec":{"firmware":{"container":{"image":"b:1","build":null}}}}`)
	create(t, url, "/a/devices", `{"metadata":{"application":"a","name":"x/y"},"spec":`+build1+`}`)
	create(t, url, "/a/devices", `{"metadata":{"application":"a","name":"z"}}`)
	c := drogue.New(url, http.DefaultClient, drogue.Bearer("alice"))
	uid := func(o build.ObjectRef) string {
		got, err := c.Object(t.Context(), o)
		if err != nil || got.UID() == "" {
			t.Fatal(got, err)
		}
		return got.UID()
	}
	listed := func(described bool, app, device string) build.Listed {
		o := build.ObjectRef{Application: app, Device: device}
		return build.Listed{Object: o, UID: uid(o), Described: described}
	}
	applications, err := c.ApplicationsAs(t.Context(), "alice")
	want := []build.Listed{listed(true, "a", ""), listed(false, "b", "")}
	if diff := cmp.Diff(want, applications); diff != "" || err != nil {
		t.Error(err, diff)
	}
	devices, err := c.DevicesAs(t.Context(), "alice", "a")
	want = []build.Listed{listed(true, "a", "x/y"), listed(false, "a", "z")}
	if diff := cmp.Diff(want, devices); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if _, err := c.DevicesAs(t.Context(), "bob", "a"); !errors.Is(err, build.ErrNoObject) {
		t.Error(err)
	}
}

func TestADeletedObjectIsLeftAlone(t *testing.T) {
	t.Parallel()
	url := serve(t, nil)
	create(t, url, "", `{"metadata":{"name":"a","finalizers":["f"]}}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, url+"/api/registry/v1alpha1/apps/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer alice")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	c := drogue.New(url, http.DefaultClient, drogue.Bearer("alice"))
	err = c.Update(t.Context(), build.ObjectRef{Application: "a"}, func(build.Object) (bool, error) {
		t.Error("asked to change a deleted object")
		return true, nil
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := c.Object(t.Context(), build.ObjectRef{Application: "a"}); !errors.Is(err, build.ErrNoObject) {
		t.Errorf("it can be read to be built: %v", err)
	}
	_, err = c.ObjectAs(t.Context(), "alice", build.ObjectRef{Application: "a"})
	if !errors.Is(err, build.ErrNoObject) {
		t.Errorf("its build can be requested: %v", err)
	}
	if list, err := c.Applications(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("it is listed: %v, %v", list, err)
	}
}

func FuzzParseObject(f *testing.F) {
	f.Add([]byte(`{"metadata":{"name":"a","uid":"u"},"spec":{"firmware":{"x":1.0}},"status":{"a":null},"other":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := drogue.ParseObject(data)
		if err != nil {
			return
		}
		out, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		reread, err := drogue.ParseObject(out)
		if err != nil || reread.Ref() != o.Ref() || string(reread.Firmware()) != compact(t, o.Firmware()) {
			t.Errorf("%s became %s: %v", data, out, err)
		}
	})
}

func compact(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	if raw == nil {
		return ""
	}
	out, err := json.Marshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestEveryObjectIsVisited, of more devices than a page has.
func TestEveryObjectIsVisited(t *testing.T) {
	t.Parallel()
	url := serve(t, nil)
	const devices = 405
	create(t, url, "", `{"metadata":{"name":"a"}}`)
	create(t, url, "", `{"metadata":{"name":"b"}}`)
	for i := range devices {
		create(
			t,
			url,
			"/a/devices",
			fmt.Sprintf(`{"metadata":{"application":"a","name":"device %d"},"spec":{"firmware":{"x":%d}}}`, i, i),
		)
	}
	c := drogue.New(url, http.DefaultClient, drogue.Bearer("alice"))
	var applications []string
	found := map[string]string{}
	if err := c.EachApplication(t.Context(), func(ref build.ObjectRef, o build.Object) error {
		applications = append(applications, ref.String())
		return c.EachDevice(t.Context(), ref.Application, func(ref build.ObjectRef, o build.Object) error {
			found[ref.String()] = string(o.Firmware())
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, applications); diff != "" {
		t.Error(diff)
	}
	if len(found) != devices || found["a/device 404"] != `{"x":404}` {
		t.Errorf("%d devices, %s", len(found), found["a/device 404"])
	}
	stop := errors.New("stop")
	if err := c.EachDevice(
		t.Context(),
		"a",
		func(build.ObjectRef, build.Object) error { return stop },
	); !errors.Is(
		err,
		stop,
	) {
		t.Error(err)
	}
	if err := c.EachDevice(t.Context(), "none", nil); !errors.Is(err, build.ErrNoObject) {
		t.Error(err)
	}
}
