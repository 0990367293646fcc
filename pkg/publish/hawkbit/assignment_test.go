// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/hawkbit/hawkbittest"
	"github.com/drogue-iot/ajour/pkg/publish/hawkbit"
	"github.com/drogue-iot/ajour/pkg/publish/publishtest"
)

// manage calls the Management API of a server, as somebody else does.
func manage(t *testing.T, s *hawkbittest.Server, method, path string, body any) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequestWithContext(t.Context(), method, "/rest/v1"+path, bytes.NewReader(data))
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth("admin", "admin")
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, req); w.Code/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
}

func mustPublish(t *testing.T, o hawkbit.Options) hawkbit.Result {
	t.Helper()
	r, err := hawkbit.Publish(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func upload(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/artifacts") && r.Method == http.MethodPost
}

func assignment(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/assignedDS") && r.Method == http.MethodPost
}

// generations calls a test for each generation of hawkBit.
func generations(t *testing.T, test func(*testing.T, *hawkbittest.Server)) {
	t.Helper()
	for _, g := range []hawkbittest.Generation{hawkbittest.V0, hawkbittest.V1} {
		t.Run(string(g), func(t *testing.T) {
			t.Parallel()
			test(t, hawkbittest.New(hawkbittest.Options{Generation: g}))
		})
	}
}

// TestARefusedAssignmentEndsNothing: what was on its way to the device still is.
func TestARefusedAssignmentEndsNothing(t *testing.T) {
	t.Parallel()
	generations(t, func(t *testing.T, s *hawkbittest.Server) {
		t.Helper()
		first := mustPublish(t, serveHawkbit(t, s, nil))
		o := serveHawkbit(t, s, publishtest.Faulty(1<<30, assignment, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, `{"errorCode":"hawkbit.server.error.quota.tooManyEntries","message":"Quota exceeded"}`)
		}))
		o.Version = "bbbbbbb"
		if _, err := hawkbit.Publish(t.Context(), o); err == nil || !strings.Contains(err.Error(), "Quota exceeded") {
			t.Error(err)
		}
		if active := activeActions(t, o); !slices.Equal(active, []int64{first.Action}) {
			t.Errorf("the active actions are %v, not %d", active, first.Action)
		}
	})
}

// TestAnAssignmentOfOtherTypes, by somebody else, becomes the one that was asked for, or the
// message says what it is.
func TestAnAssignmentOfOtherTypes(t *testing.T) {
	t.Parallel()
	for kind, tt := range map[string]struct {
		change map[string]any
		want   string
	}{
		"soft":           {map[string]any{"type": "soft"}, ""},
		"downloads only": {map[string]any{"type": "downloadonly"}, ""},
		"forced later":   {map[string]any{"type": "timeforced"}, "which is of the type timeforced: end it in hawkBit"},
		"a window": {
			map[string]any{"maintenanceWindow": map[string]any{"duration": "00:10:00"}}, "which waits for a maintenance window",
		},
		"a confirmation": {map[string]any{"confirmationRequired": true}, "which waits for a confirmation"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := hawkbittest.New(hawkbittest.Options{})
			o := serveHawkbit(t, s, nil)
			first := mustPublish(t, o)
			path := "/targets/" + o.Controller
			action := fmt.Sprintf("%s/actions/%d", path, first.Action)
			manage(t, s, http.MethodDelete, action, nil)
			manage(t, s, http.MethodDelete, action+"?force=true", nil)
			tt.change["id"] = first.Set
			manage(t, s, http.MethodPost, path+"/assignedDS", tt.change)
			theirs := activeActions(t, o)
			r, err := hawkbit.Publish(t.Context(), o)
			switch {
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Error(err)
			case tt.want == "" && (err != nil || r.Action != theirs[0]):
				t.Errorf("%+v %v, theirs is %v", r, err, theirs)
			}
			if active := activeActions(t, o); !slices.Equal(active, theirs) {
				t.Errorf("the active actions are %v, not %v", active, theirs)
			}
		})
	}
}

// TestPublishingTwiceMakesOneAction, also where hawkBit would make a new one each time.
func TestPublishingTwiceMakesOneAction(t *testing.T) {
	t.Parallel()
	generations(t, func(t *testing.T, s *hawkbittest.Server) {
		t.Helper()
		manage(t, s, http.MethodPut, "/system/configs/multi.assignments.enabled", map[string]any{"value": true})
		o := serveHawkbit(t, s, nil)
		first := mustPublish(t, o)
		if diff := cmp.Diff(first, mustPublish(t, o)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([3]int{1, 1, 1}, count(t, s)); diff != "" {
			t.Error("modules, sets, actions:", diff)
		}
	})
}

// TestATargetThatIsRefusedLeavesNothing behind.
func TestATargetThatIsRefusedLeavesNothing(t *testing.T) {
	t.Parallel()
	s := hawkbittest.New(hawkbittest.Options{})
	o := serveHawkbit(t, s, nil)
	o.Controller = "a b"
	if _, err := hawkbit.Publish(t.Context(), o); err == nil {
		t.Error("it was taken")
	}
	manage(t, s, http.MethodPost, "/targets", []any{map[string]string{"controllerId": "sensor-7"}})
	if diff := cmp.Diff([3]int{}, count(t, s)); diff != "" {
		t.Error("modules, sets, actions:", diff)
	}
}

// TestALockedModuleIsReadAnew: a second build of the same has uploaded and assigned it.
func TestALockedModuleIsReadAnew(t *testing.T) {
	t.Parallel()
	s := hawkbittest.New(hawkbittest.Options{})
	locked := func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(httptest.NewRecorder(), r)
		w.WriteHeader(http.StatusLocked)
	}
	mustPublish(t, serveHawkbit(t, s, publishtest.Faulty(1, upload, locked)))
}

// TestAMissingRightIsNamed by what was being done.
func TestAMissingRightIsNamed(t *testing.T) {
	t.Parallel()
	for what, match := range map[string]func(*http.Request) bool{
		"upload to the software module": upload, "assign the distribution set to the target": assignment,
	} {
		s := hawkbittest.New(hawkbittest.Options{})
		_, err := hawkbit.Publish(t.Context(), serveHawkbit(t, s, publishtest.Faulty(1, match, publishtest.Status(403))))
		if err == nil || !strings.Contains(err.Error(), "user may not "+what+": give it the rights") {
			t.Error(err)
		}
	}
}

// TestAnAddressFromABrowserIsTaken as that of the server.
func TestAnAddressFromABrowserIsTaken(t *testing.T) {
	t.Parallel()
	for _, behind := range []string{"/", "/UI", "/UI/", "/rest/v1", "/rest/v1/"} {
		o := serveHawkbit(t, hawkbittest.New(hawkbittest.Options{}), nil)
		file := filepath.Join(o.Credentials, "url")
		base, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.TrimSpace(string(base))+behind), 0o600); err != nil {
			t.Fatal(err)
		}
		mustPublish(t, o)
	}
}

// TestAHawkbitThatStartsIsAwaited, as long as the patience lasts.
func TestAHawkbitThatStartsIsAwaited(t *testing.T) {
	t.Parallel()
	always := func(*http.Request) bool { return true }
	away := publishtest.Status(http.StatusServiceUnavailable)
	t.Run("in time", func(t *testing.T) {
		t.Parallel()
		mustPublish(t, serveHawkbit(t, hawkbittest.New(hawkbittest.Options{}), publishtest.Faulty(5, always, away)))
	})
	t.Run("too late", func(t *testing.T) {
		t.Parallel()
		o := serveHawkbit(t, hawkbittest.New(hawkbittest.Options{}), publishtest.Faulty(1<<30, always, away))
		o.Patience = time.Second
		if _, err := hawkbit.Publish(t.Context(), o); err == nil {
			t.Error("it was published")
		}
	})
}
