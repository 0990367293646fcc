// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/api"
)

// do calls a handler and returns the status and Retry-After.
func do(t *testing.T, h http.Handler, token, method, path string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, api.Prefixes[0]+path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Code, rec.Header().Get("Retry-After")
}

// TestACallerThatCallsTooOftenIsTurnedAway until there is room.
func TestACallerThatCallsTooOftenIsTurnedAway(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.limits = api.Limits{Calls: 2}
	h := w.handler()
	statuses := map[int]int{}
	for range 15 {
		status, retry := do(t, h, "read", http.MethodGet, "/builds")
		statuses[status]++
		if want := map[int]string{http.StatusOK: "", http.StatusTooManyRequests: "1"}[status]; retry != want {
			t.Errorf("%d: Retry-After %q", status, retry)
		}
	}
	if diff := cmp.Diff(map[int]int{http.StatusOK: 10, http.StatusTooManyRequests: 5}, statuses); diff != "" {
		t.Error(diff)
	}
	w.at = now.Add(time.Second) // two of them are back
	for _, want := range []int{http.StatusOK, http.StatusOK, http.StatusTooManyRequests} {
		if status, _ := do(t, h, "read", http.MethodGet, "/builds"); status != want {
			t.Errorf("%d, want %d", status, want)
		}
	}
	if diff := cmp.Diff(strings.Fields(strings.Repeat("TooManyRequests ", 6)), w.refused); diff != "" {
		t.Error(diff)
	}
}

func TestBuildsOfACallerAndOfAnApplicationAreLimited(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		limits api.Limits
		want   []int
	}{
		"of a caller":       {api.Limits{CallerBuilds: 2}, []int{202, 202, 429, 429}},
		"of an application": {api.Limits{ApplicationBuilds: 2}, []int{202, 202, 429, 202}},
		"of none":           {api.Limits{}, []int{202, 202, 202, 202}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.limits = tt.limits
			w.objects["other"] = good
			h := w.handler()
			var got []int
			for _, path := range []string{
				"/apps/app/trigger", "/apps/app/devices/d/trigger", "/apps/app/trigger", "/apps/other/trigger",
			} {
				status, retry := do(t, h, "trigger", http.MethodPost, path)
				if got = append(got, status); status == http.StatusTooManyRequests && retry != "30" {
					t.Errorf("Retry-After %q", retry)
				}
			}
			accepted := slices.DeleteFunc(slices.Clone(tt.want), func(status int) bool { return status != http.StatusAccepted })
			if diff := cmp.Diff(tt.want, got); diff != "" || len(w.sent) != len(accepted) {
				t.Error(len(w.sent), diff)
			}
		})
	}
}

func TestALargeBodyIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld()
	r := httptest.NewRequestWithContext(
		t.Context(), http.MethodPost, api.Prefixes[0]+"/apps/app/trigger", bytes.NewReader(make([]byte, 100_000)),
	)
	r.Header.Set("Authorization", "Bearer trigger")
	rec := httptest.NewRecorder()
	if w.handler().ServeHTTP(rec, r); rec.Code != http.StatusRequestEntityTooLarge || len(w.sent) != 0 {
		t.Error(rec.Code, rec.Body)
	}
}

// TestEachActionIsALineOfTheAudit, accepted or refused, and reading is none.
func TestEachActionIsALineOfTheAudit(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := newWorld()
	w.audit, w.runs, w.needs = &log, runs(), api.NeedsBoth
	h := w.handler()
	running := runs()[1].ID
	for _, call := range [][3]string{
		{"read", http.MethodGet, "/builds"},
		{"trigger", http.MethodPost, "/apps/app/devices/d/trigger"},
		{"role", http.MethodPost, "/apps/app/trigger"},
		{"trigger", http.MethodPost, "/apps/wrong/trigger"},
		{"trigger", http.MethodPost, "/apps/none%0A%22/trigger"},
		{"trigger", http.MethodDelete, "/builds/" + running},
		{"read", http.MethodDelete, "/builds/" + running},
		{"none", http.MethodPost, "/builds/" + running + "/publish"},
	} {
		do(t, h, call[0], call[1], call[2])
	}
	line := func(action, outcome, code, application, device, build string) string {
		return `{"level":"INFO","msg":"action","action":"` + action + `","outcome":"` + outcome + `","code":"` + code +
			`","subject":"s","user":"alice","application":"` + application + `","device":"` + device + `","build":"` + build + `"}` + "\n"
	}
	want := line("trigger", "accepted", "", "app", "d", id) +
		line("trigger", "refused", "Forbidden", "app", "", "") +
		line("trigger", "refused", "InvalidBuildSpec", "wrong", "", rejected(t, w)) +
		line("trigger", "refused", "InvalidRequest", `none\n\"`, "", "") +
		line("cancel", "accepted", "", "app", "", running) +
		line("cancel", "refused", "Forbidden", "", "", running) +
		line("publish", "refused", "Forbidden", "", "", running)
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Error(diff)
	}
}

// rejected returns the id of the rejection that was sent.
func rejected(t *testing.T, w *world) string {
	t.Helper()
	for _, ev := range w.sent {
		if strings.HasSuffix(ev.Type(), "rejected.v1") {
			return strings.TrimSuffix(ev.ID(), "/rejected")
		}
	}
	t.Fatal("no rejection was sent")
	return ""
}
