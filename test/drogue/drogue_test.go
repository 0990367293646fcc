// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package drogue tests what the services rely on of a Drogue device registry.
//
// It uses the embedded registry, or with DROGUE_URL a real one: DROGUE_TOKEN is an access token
// of somebody who may create applications, DROGUE_USER a different user, as whom the services
// act, and DROGUE_USER_TOKEN a personal access token of that user. The applications of the tests
// have names that begin with "ajour-test-", and are deleted at the end.
package drogue

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/drogue"
	"github.com/drogue-iot/ajour/pkg/local/registry"
)

// instance is a registry, and two users of it.
type instance struct {
	t              *testing.T
	url            string
	token          string // of the owner of applications
	user, password string // of the services
}

func start(t *testing.T) instance {
	t.Helper()
	if url := os.Getenv("DROGUE_URL"); url != "" {
		i := instance{
			t, strings.TrimSuffix(url, "/"), os.Getenv("DROGUE_TOKEN"), os.Getenv("DROGUE_USER"),
			os.Getenv("DROGUE_USER_TOKEN"),
		}
		if i.token == "" || i.user == "" || i.password == "" {
			t.Fatal("DROGUE_URL needs DROGUE_TOKEN, DROGUE_USER and DROGUE_USER_TOKEN")
		}
		return i
	}
	embedded, err := registry.Open(filepath.Join(t.TempDir(), "registry"), registry.Options{
		Credentials: registry.Credentials{
			Bearer: func(_ *http.Request, token string) (registry.User, bool) {
				return registry.User{ID: "id-owner", Name: "owner"}, token == "token"
			},
			Basic: func(user, token string) (registry.User, bool) {
				return registry.User{ID: "id-" + user, Name: user}, user == "ajour" && token == "password"
			},
			UserID: func(name string) (string, bool) { return "id-" + name, name == "owner" || name == "ajour" },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(embedded)
	t.Cleanup(func() {
		srv.Close()
		if err := embedded.Close(); err != nil {
			t.Error(err)
		}
	})
	return instance{t, srv.URL, "token", "ajour", "password"}
}

func (i instance) owner() *drogue.Client {
	return drogue.New(i.url, http.DefaultClient, drogue.Bearer(i.token))
}

func (i instance) services() *drogue.Client {
	return drogue.New(i.url, http.DefaultClient, drogue.Basic(i.user, i.password))
}

const (
	registryPath = "/api/registry/v1alpha1/apps"
	adminPath    = "/api/admin/v1alpha1/apps"
)

// call makes a call as the owner, and returns its status and body.
func (i instance) call(ctx context.Context, method, path string, body any) (int, []byte) {
	i.t.Helper()
	var in io.Reader = http.NoBody
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			i.t.Fatal(err)
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, i.url+path, in)
	if err != nil {
		i.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+i.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		i.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		i.t.Fatal(err)
	}
	return res.StatusCode, data
}

// must is call for one that succeeds.
func (i instance) must(method, path string, body any) []byte {
	i.t.Helper()
	status, data := i.call(i.t.Context(), method, path, body)
	if status/100 != 2 {
		i.t.Fatalf("%s %s: %d %s", method, path, status, data)
	}
	return data
}

type object = map[string]any

// application makes an application with a section, which the end of the test deletes.
func (i instance) application(spec object) build.ObjectRef {
	i.t.Helper()
	o := build.ObjectRef{Application: "ajour-test-" + strings.ToLower(rand.Text()[:12])}
	i.must(http.MethodPost, registryPath, object{"metadata": object{"name": o.Application}, "spec": spec})
	i.t.Cleanup(func() {
		i.call(context.WithoutCancel(i.t.Context()), http.MethodDelete, registryPath+"/"+o.Application, nil)
	})
	return o
}

// device makes a device with a section.
func (i instance) device(app build.ObjectRef, name string, spec object) build.ObjectRef {
	i.t.Helper()
	o := build.ObjectRef{Application: app.Application, Device: name}
	metadata := object{"application": o.Application, "name": name}
	i.must(http.MethodPost, registryPath+"/"+o.Application+"/devices", object{"metadata": metadata, "spec": spec})
	return o
}

// set writes a section of the status.
func set(value string) func(build.Object) (bool, error) {
	return func(o build.Object) (bool, error) {
		o.SetStatus(build.SectionRecord, json.RawMessage(value))
		return true, nil
	}
}

// TestAStatusIsWrittenAndAllElseStays, to the digits of numbers.
func TestAStatusIsWrittenAndAllElseStays(t *testing.T) {
	t.Parallel()
	i := start(t)
	app := i.application(object{
		"numbers": json.RawMessage(`[1,1.0,1e2,0.1,18446744073709551615,-0,1.5e300]`), "other": object{"ü": "<&>"},
	})
	path := registryPath + "/" + app.Application
	read := func() (o struct {
		Spec   json.RawMessage
		Status map[string]json.RawMessage
	},
	) {
		t.Helper()
		if err := json.Unmarshal(i.must(http.MethodGet, path, nil), &o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	before := read()
	if err := i.owner().Update(t.Context(), app, set(`{"build":"1"}`)); err != nil {
		t.Fatal(err)
	}
	after := read()
	if diff := cmp.Diff(string(before.Spec), string(after.Spec)); diff != "" {
		t.Error(diff)
	}
	if got := string(after.Status[build.SectionRecord]); got != `{"build":"1"}` {
		t.Error(got)
	}
}

// TestDevicesOfAnyNameAreFound: names may hold anything.
func TestDevicesOfAnyNameAreFound(t *testing.T) {
	t.Parallel()
	i := start(t)
	app := i.application(object{})
	for _, name := range []string{"a b", "a/b", "a#b", "a%2Fb", "a%b", "..", ".", "a?b", "a+b", "é", "😀", "a,b;c", `\`, `"`} {
		o := i.device(app, name, object{"name": name})
		if err := i.owner().Update(t.Context(), o, set(`{}`)); err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		got, err := i.owner().Get(t.Context(), o)
		if err != nil || got.Ref() != o {
			t.Errorf("%q: %v %v", name, got, err)
		}
	}
}

// TestNoWriteIsLost of several writers at the same time.
func TestNoWriteIsLost(t *testing.T) {
	t.Parallel()
	i := start(t)
	app := i.application(object{})
	const writers, writes = 4, 5
	var g errgroup.Group
	for range writers {
		g.Go(func() error {
			for range writes {
				if err := i.owner().Update(t.Context(), app, func(o build.Object) (bool, error) {
					var n int
					_ = json.Unmarshal(o.Status("count"), &n) // none yet
					o.SetStatus("count", json.RawMessage(fmt.Sprint(n+1)))
					return true, nil
				}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	o, err := i.owner().Object(t.Context(), app)
	if err != nil || string(o.Status("count")) != fmt.Sprint(writers*writes) {
		t.Errorf("%s, %v", o.Status("count"), err)
	}
}

// TestTheRightToWriteIsAskedWithoutAWrite, by a version that no object has.
func TestTheRightToWriteIsAskedWithoutAWrite(t *testing.T) {
	t.Parallel()
	i := start(t)
	app := i.application(object{})
	device := i.device(app, "a/b", object{})
	for _, o := range []build.ObjectRef{app, device} {
		before, err := i.owner().Get(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if may, err := i.owner().MayWriteAs(t.Context(), i.token, o); err != nil || !may {
			t.Errorf("%s: %t %v", o, may, err)
		}
		after, err := i.owner().Get(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		was, _ := json.Marshal(before)
		is, _ := json.Marshal(after)
		if diff := cmp.Diff(string(was), string(is)); diff != "" {
			t.Error(diff)
		}
	}
	if may, err := i.owner().MayWriteAs(
		t.Context(),
		i.token,
		build.ObjectRef{Application: "ajour-test-none"},
	); may ||
		err != nil {
		t.Error(may, err)
	}
}

func TestAnObjectThatGrowsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	i := start(t)
	app := i.application(object{"x": strings.Repeat("x", 60_000)})
	err := i.owner().Update(t.Context(), app, set(`"`+strings.Repeat("x", 10_000)+`"`))
	if !errors.Is(err, build.ErrTooLarge) {
		t.Error(err)
	}
}

// TestTheServicesSeeWhatTheirUserIsAMemberOf: the list of members holds names, and is written
// back as it was read.
func TestTheServicesSeeWhatTheirUserIsAMemberOf(t *testing.T) {
	t.Parallel()
	i := start(t)
	app := i.application(object{})
	device := i.device(app, "sensor", object{})
	members := adminPath + "/" + app.Application + "/members"
	for _, step := range []struct {
		role        string
		read, write error // of the application
	}{
		{"", build.ErrForbidden, build.ErrForbidden},
		{"reader", nil, build.ErrForbidden},
		{"manager", nil, nil},
		{"manager", nil, nil},
	} {
		if step.role != "" {
			var list struct {
				ResourceVersion string
				Members         object
			}
			if err := json.Unmarshal(i.must(http.MethodGet, members, nil), &list); err != nil {
				t.Fatal(err)
			}
			list.Members[i.user] = object{"role": step.role}
			i.must(http.MethodPut, members, object{"resourceVersion": list.ResourceVersion, "members": list.Members})
		}
		if _, err := i.services().Object(t.Context(), app); !errors.Is(err, step.read) {
			t.Errorf("as %q, application: %v", step.role, err)
		}
		if err := i.services().Update(t.Context(), app, set(`"`+step.role+`"`)); !errors.Is(err, step.write) {
			t.Errorf("as %q, write to application: %v", step.role, err)
		}
		_, err := i.services().Object(t.Context(), device)
		if (err == nil) != (step.read == nil) || err != nil && !errors.Is(err, build.ErrNoObject) {
			t.Errorf("as %q, device: %v", step.role, err)
		}
	}
}

func TestAnObjectThatWasMadeAnewHasADifferentUID(t *testing.T) {
	t.Parallel()
	i := start(t)
	app := i.application(object{})
	path := registryPath + "/" + app.Application
	first, err := i.owner().Object(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	i.must(http.MethodDelete, path, nil)
	if _, err := i.owner().Object(t.Context(), app); !errors.Is(err, build.ErrNoObject) {
		t.Error(err)
	}
	i.must(http.MethodPost, registryPath, object{"metadata": object{"name": app.Application}})
	second, err := i.owner().Object(t.Context(), app)
	if err != nil || first.UID() == "" || first.UID() == second.UID() {
		t.Error(first.UID(), err)
	}
}

// TestWhatWaitsForItsFinalizersIsNotThere, and is not listed.
func TestWhatWaitsForItsFinalizersIsNotThere(t *testing.T) {
	t.Parallel()
	i := start(t)
	app := i.application(object{})
	described := object{"firmware": object{"container": object{"image": "a:1", "build": object{}}}}
	device := i.device(app, "sensor", described)
	held := i.device(app, "held", described)
	path := registryPath + "/" + app.Application + "/devices/held"
	metadata := object{"application": app.Application, "name": "held", "finalizers": []string{"ajour-test"}}
	i.must(http.MethodPut, path, object{"metadata": metadata, "spec": described})
	i.must(http.MethodDelete, path, nil)
	t.Cleanup(func() {
		delete(metadata, "finalizers")
		i.call(context.WithoutCancel(t.Context()), http.MethodPut, path, object{"metadata": metadata})
	})
	if _, err := i.owner().Object(t.Context(), held); !errors.Is(err, build.ErrNoObject) {
		t.Error(err)
	}
	o, err := i.owner().Object(t.Context(), device)
	if err != nil {
		t.Fatal(err)
	}
	got, err := i.owner().Devices(t.Context(), app.Application)
	want := []build.Listed{{Object: device, UID: o.UID(), Described: true}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}
