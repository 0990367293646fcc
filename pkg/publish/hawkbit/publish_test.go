// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
	client "github.com/drogue-iot/ajour/pkg/hawkbit"
	"github.com/drogue-iot/ajour/pkg/hawkbit/hawkbittest"
	"github.com/drogue-iot/ajour/pkg/publish/artifact"
	"github.com/drogue-iot/ajour/pkg/publish/hawkbit"
	"github.com/drogue-iot/ajour/pkg/publish/publishtest"
)

// firmware is what is published.
const firmware = "ajour demo firmware\n"

// serveHawkbit serves one, and returns options that publish to it.
func serveHawkbit(t *testing.T, s *hawkbittest.Server, wrap func(http.Handler) http.Handler) hawkbit.Options {
	t.Helper()
	var h http.Handler = s
	if wrap != nil {
		h = wrap(h)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	o := hawkbit.Options{
		Firmware: artifact.Firmware{
			Root:     t.TempDir(),
			Artifact: "fw.bin",
			Version:  "4f1c2ab",
		},
		Name:        "greenhouse",
		Controller:  "sensor-7",
		Credentials: t.TempDir(),
		Log:         io.Discard,
	}
	for file, content := range map[string]string{
		filepath.Join(o.Root, "fw.bin"): firmware, filepath.Join(o.Credentials, "url"): srv.URL + "\n",
		filepath.Join(o.Credentials, "user"): "admin\n", filepath.Join(o.Credentials, "password"): "admin\n",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// count returns how many modules, sets and actions there are.
func count(t *testing.T, h http.Handler) [3]int {
	t.Helper()
	var n [3]int
	for i, path := range []string{"/softwaremodules", "/distributionsets", "/targets/sensor-7/actions"} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/rest/v1"+path, http.NoBody)
		req.SetBasicAuth("admin", "admin")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		var page struct{ Total int }
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
			t.Fatal(err, w.Body)
		}
		n[i] = page.Total
	}
	return n
}

// TestAPublishThatDiesAnywhereIsRepeated ends the connection before, or after, each of
// its calls has had its effect; the next try has to find what is there.
func TestAPublishThatDiesAnywhereIsRepeated(t *testing.T) {
	t.Parallel()
	for _, generation := range []hawkbittest.Generation{hawkbittest.V0, hawkbittest.V1} {
		for _, after := range []bool{false, true} {
			for n := int64(1); n < 20; n++ {
				t.Run(fmt.Sprintf("%s call %d after %t", generation, n, after), func(t *testing.T) {
					t.Parallel()
					dies(t, generation, n, after)
				})
			}
		}
	}
}

func dies(t *testing.T, generation hawkbittest.Generation, n int64, after bool) {
	t.Helper()
	s := hawkbittest.New(hawkbittest.Options{Generation: generation})
	var calls atomic.Int64
	ctx, die := context.WithCancel(t.Context())
	o := serveHawkbit(t, s, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) != n {
				next.ServeHTTP(w, r)
				return
			}
			if after {
				next.ServeHTTP(httptest.NewRecorder(), r)
			}
			die()
			panic(http.ErrAbortHandler)
		})
	})
	_, err := hawkbit.Publish(ctx, o)
	if calls.Load() >= n && err == nil {
		t.Error("it did not die")
	}
	if _, err := hawkbit.Publish(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([3]int{1, 1, 1}, count(t, s)); diff != "" {
		t.Error("modules, sets, actions:", diff)
	}
}

func TestHawkbitIsRetried(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"after an error": publishtest.Faulty(
			2, publishtest.Method(http.MethodPost), publishtest.Status(http.StatusInternalServerError),
		),
		"after a connection broke": publishtest.Faulty(2, publishtest.Method(http.MethodGet), publishtest.Cut),
		"after an upload broke": publishtest.Faulty(1, func(r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, "/artifacts") && r.Method == http.MethodPost
		}, publishtest.Cut),
		// A race that a different one won is reported like this (HBW-88).
		"after an assignment failed": publishtest.Faulty(1, func(r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, "/assignedDS") && r.Method == http.MethodPost
		}, publishtest.Status(500)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := hawkbittest.New(hawkbittest.Options{})
			if _, err := hawkbit.Publish(t.Context(), serveHawkbit(t, s, wrap)); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff([3]int{1, 1, 1}, count(t, s)); diff != "" {
				t.Error("modules, sets, actions:", diff)
			}
		})
	}
	t.Run("after the limit of requests", func(t *testing.T) {
		t.Parallel()
		s := hawkbittest.New(hawkbittest.Options{})
		s.Limit(2)
		if _, err := hawkbit.Publish(t.Context(), serveHawkbit(t, s, nil)); err != nil {
			t.Error(err)
		}
	})
}

// TestHawkbitsFailuresAreQuoted: by its own message, and without a secret.
func TestHawkbitsFailuresAreQuoted(t *testing.T) {
	t.Parallel()
	json := func(code int, body string) func(http.Handler) http.Handler {
		return publishtest.Faulty(1<<30, publishtest.Method(http.MethodPost), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		})
	}
	for name, tt := range map[string]struct {
		options hawkbittest.Options
		wrap    func(http.Handler) http.Handler
		change  func(*testing.T, *hawkbit.Options)
		want    string
	}{
		"a wrong password": {
			hawkbittest.Options{User: "admin", Password: "hunter2"},
			nil,
			nil,
			"it refuses the credentials of the installation",
		},
		"a missing right": {
			hawkbittest.Options{},
			json(
				403,
				`{"exceptionClass":"x.InsufficientPermissionException","errorCode":"hawkbit.server.error.insufficientPermission","message":"Insufficient Permission"}`,
			),
			nil, "the installation's user may not read or create the target: give it the rights that docs/install.md lists",
		},
		"a quota, at once": {
			hawkbittest.Options{},
			json(
				429,
				`{"exceptionClass":"x","errorCode":"hawkbit.server.error.quota.storageExceeded","message":"Storage quota exceeded, 5 KB left."}`,
			),
			nil, "Storage quota exceeded, 5 KB left.",
		},
		"a page in HTML": {hawkbittest.Options{}, json(400, `<html>no</html>`), nil, "Bad Request"},
		"a redirect": {
			hawkbittest.Options{},
			publishtest.Faulty(
				1<<30,
				publishtest.Method(http.MethodGet),
				publishtest.Status(http.StatusFound, "Location: https://localhost:1/"),
			), nil,
			"it redirects to https://localhost:1: that belongs into url of the Secret hawkbit-config",
		},
		"an installation without hawkBit": {hawkbittest.Options{}, nil, func(t *testing.T, o *hawkbit.Options) {
			o.Credentials = t.TempDir()
		}, "this installation has no hawkBit: its address and credentials belong into the Secret hawkbit-config"},
		"an address that is none": {hawkbittest.Options{}, nil, func(t *testing.T, o *hawkbit.Options) {
			if err := os.WriteFile(filepath.Join(o.Credentials, "url"), []byte("hawkbit:8080"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "the URL of hawkBit is none like https://hawkbit.example.org"},
		"a name that hawkBit refuses": {hawkbittest.Options{}, nil, func(_ *testing.T, o *hawkbit.Options) {
			o.Name = strings.Repeat("x", 129)
		}, "create.create[0].name size must be between 1 and 128."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := serveHawkbit(t, hawkbittest.New(tt.options), tt.wrap)
			var said strings.Builder
			o.Log = &said
			if tt.change != nil {
				tt.change(t, &o)
			}
			_, err := hawkbit.Publish(t.Context(), o)
			if got, message := publishtest.Reason(
				t,
				err,
			); got != build.ReasonHawkbitPushFailed ||
				message != "Failed publishing to hawkBit: "+tt.want {
				t.Errorf("%s: %s", got, message)
			}
			if strings.Contains(said.String(), "admin") {
				t.Error(said.String())
			}
		})
	}
}

// TestWhatWasDeletedIsExplained: hawkBit keeps the names of what was once assigned.
func TestWhatWasDeletedIsExplained(t *testing.T) {
	t.Parallel()
	s := hawkbittest.New(hawkbittest.Options{})
	o := serveHawkbit(t, s, nil)
	r, err := hawkbit.Publish(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequestWithContext(
		t.Context(), http.MethodDelete, fmt.Sprintf("/rest/v1/distributionsets/%d", r.Set), http.NoBody,
	)
	req.SetBasicAuth("admin", "admin")
	s.ServeHTTP(httptest.NewRecorder(), req)
	_, err = hawkbit.Publish(t.Context(), o)
	if _, message := publishtest.Reason(
		t,
		err,
	); message != "Failed publishing to hawkBit: the distribution set greenhouse:4f1c2ab was deleted, and its name cannot be used again: push a new commit" {
		t.Error(message)
	}
}

func TestHawkbitGetsNoFileThatIsNone(t *testing.T) {
	t.Parallel()
	o := serveHawkbit(t, hawkbittest.New(hawkbittest.Options{}), func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s", r.Method, r.URL) })
	})
	o.Artifact = "none"
	_, err := hawkbit.Publish(t.Context(), o)
	if got, _ := publishtest.Reason(t, err); got != build.ReasonArtifactNotFound {
		t.Error(err)
	}
	o.Artifact, o.MaxSize = "fw.bin", 5
	_, err = hawkbit.Publish(t.Context(), o)
	if got, _ := publishtest.Reason(t, err); got != build.ReasonArtifactInvalid {
		t.Error(err)
	}
}

func TestHawkbitTakesABearerToken(t *testing.T) {
	t.Parallel()
	o := serveHawkbit(t, hawkbittest.New(hawkbittest.Options{Token: "eyJ"}), nil)
	for file, content := range map[string]string{"user": "", "password": "", "token": "eyJ"} {
		if err := os.WriteFile(filepath.Join(o.Credentials, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := hawkbit.Publish(t.Context(), o); err != nil {
		t.Error(err)
	}
}

// TestOfTwoAssignmentsTheNewerOneStays alone: hawkBit only marks what it replaces as being
// cancelled, and then offers the device nothing but that (HB-2).
func TestOfTwoAssignmentsTheNewerOneStays(t *testing.T) {
	t.Parallel()
	for _, generation := range []hawkbittest.Generation{hawkbittest.V0, hawkbittest.V1} {
		for name, tt := range map[string]struct {
			method string // of the call before or after which a different one is assigned
			after  bool
		}{
			"just before": {http.MethodPost, false}, "just after": {http.MethodGet, true},
		} {
			t.Run(fmt.Sprintf("%s, generation %v", name, generation), func(t *testing.T) {
				t.Parallel()
				s := hawkbittest.New(hawkbittest.Options{Generation: generation})
				other := serveHawkbit(t, s, nil)
				other.Version = "aaaaaaa"
				var once sync.Once
				var assigned atomic.Bool
				var theirs hawkbit.Result
				assign := func() {
					once.Do(func() {
						var err error
						if theirs, err = hawkbit.Publish(t.Context(), other); err != nil {
							t.Error(err)
						}
					})
				}
				o := serveHawkbit(t, s, func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						here := r.Method == tt.method && strings.HasSuffix(r.URL.Path, "/assignedDS")
						if here && !tt.after {
							assign()
						}
						next.ServeHTTP(w, r)
						if here && tt.after && assigned.Load() {
							assign()
						}
						if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/assignedDS") {
							assigned.Store(true)
						}
					})
				})
				ours, err := hawkbit.Publish(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				want := ours.Action
				if tt.after {
					want = theirs.Action
				}
				if active := activeActions(t, o); !slices.Equal(active, []int64{want}) {
					t.Errorf("the active actions are %v, not %d", active, want)
				}
			})
		}
	}
}

func activeActions(t *testing.T, o hawkbit.Options) (ids []int64) {
	t.Helper()
	base, err := os.ReadFile(filepath.Join(o.Credentials, "url"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{URL: strings.TrimSpace(string(base)), User: "admin", Password: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.Actions(t.Context(), o.Controller, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if a.IsActive() {
			ids = append(ids, a.ID)
		}
	}
	return ids
}
