// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// manyRuns are builds of the application "app" and its device "d", a minute apart, with ids that end in
// their numbers.
func manyRuns() []build.Run {
	var list []build.Run
	for n := range 7 {
		r := runs()[0]
		r.ID = fmt.Sprintf("0190f2a4-6c3b-7a57-8f0e-%012d", n)
		r.Name = build.RunName(r.ID)
		r.Requested = now.Add(time.Duration(n) * time.Minute)
		r.Requester, r.Commit = "alice", strings.Repeat("a", 40)
		list = append(list, r)
	}
	list[1].Object.Device = "d"
	list[2].Phase, list[2].Reason, list[2].Message = build.Failed, build.ReasonBuildFailed, "error: 'foo' undeclared"
	list[3].Cause, list[3].Requester = build.CausePush, ""
	list[4].Commit = "4f1c2ab" + strings.Repeat("0", 33)
	list[5].Phase, list[5].Reason = build.Running, build.ReasonBuilding
	return list
}

// numbers are the ends of the ids in a list.
func numbers(t *testing.T, res *http.Response) string {
	t.Helper()
	var list []api.Build
	if err := json.Unmarshal([]byte(body(t, res)), &list); err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, b := range list {
		text += b.ID[len(b.ID)-1:]
	}
	return text
}

func TestFiltersOfBuilds(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runs = manyRuns()
	for query, want := range map[string]string{
		"":                             "6543210",
		"application=app":              "654320",
		"application=app&devices=true": "6543210",
		"application=app&device=d":     "1",
		"status=Failed":                "2",
		"status=Failed&status=Running": "52",
		"reason=Building":              "5",
		"trigger=push":                 "3",
		"requester=alice":              "654210",
		"commit=4f1c":                  "4",
		"since=2026-01-02T03:08:05Z":   "654",
		"until=2026-01-02T03:05:05Z":   "0",
		"q=UNDECLARED":                 "2",
		"q=app/d":                      "1",
		"status=Failed&trigger=push":   "",
	} {
		res := w.call(t, "read", http.MethodGet, api.Prefixes[0]+"/builds?"+query)
		if got := numbers(t, res); got != want || res.Header.Get("X-Total-Count") != fmt.Sprint(len(want)) {
			t.Errorf("%s: %s, %s in all, want %s", query, got, res.Header.Get("X-Total-Count"), want)
		}
	}
}

func TestFiltersThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for query, want := range map[string]string{
		"state=Failed":              `The parameter "state" is not known: use application, device, devices, status`,
		"status=failed":             `The parameter status is "failed": use one of Queued, Running, Succeeded, Failed, Cancelled`,
		"reason=No":                 `The parameter reason is "No": use one of ArtifactInvalid`,
		"trigger=git":               `The parameter trigger is "git": use one of api, change, publish, push, rerun`,
		"commit=main":               "The parameter commit is no commit: use its first 4 to 64 hexadecimal digits",
		"since=yesterday":           "The parameter since is not a time: write it like 2026-11-20T08:00:00Z (RFC 3339)",
		"limit=1&limit=2":           "The parameter limit is there more than once: give it once",
		"devices=true":              "The parameter devices is for an application: set application, and no device",
		"cursor=x":                  "The parameter cursor is none that this API gave: begin without it",
		"application=%zz":           "The query cannot be read: escape its parameters",
		"devices=x&application=app": "The parameter devices is neither true nor false",
		"follow=true&limit=1":       `The parameter "follow" is not known`,
	} {
		res := w.call(t, "read", http.MethodGet, api.Prefixes[0]+"/builds?"+query)
		var p api.Problem
		if err := json.Unmarshal([]byte(body(t, res)), &p); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusBadRequest || !strings.Contains(p.Detail, want) {
			t.Errorf("%s: %s %s", query, res.Status, p.Detail)
		}
	}
}

func TestPagesOfBuildsGoOnWhereTheyEnded(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runs = manyRuns()
	path, got := api.Prefixes[1]+"/builds?limit=3&application=app&devices=true", []string{}
	for path != "" {
		res := w.call(t, "read", http.MethodGet, path)
		got = append(got, numbers(t, res)+" of "+res.Header.Get("X-Total-Count"))
		path = ""
		if link := res.Header.Get("Link"); link != "" {
			var ok bool
			if path, ok = strings.CutSuffix(link, `>; rel="next"`); !ok {
				t.Fatal(link)
			}
			path = path[1:]
		}
		// A build that comes meanwhile shifts nothing.
		late := w.runs[0]
		late.ID = fmt.Sprintf("0190f2a4-6c3b-7a57-8f0e-%012d", 7+len(got))
		late.Name, late.Requested = build.RunName(late.ID), now.Add(time.Hour)
		w.runs = append(w.runs, late)
	}
	if diff := cmp.Diff([]string{"654 of 7", "321 of 8", "0 of 9"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheEndOfAnIdIsEnough(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runs = manyRuns()
	w.runs[6].ID = "0190f2a4-6c3b-7a57-8f0e-100000000001"
	w.runs[6].Name = build.RunName(w.runs[6].ID)
	foreign := w.runs[0]
	foreign.ID, foreign.Object.Application = "0190f2a4-6c3b-7a57-8f0e-222222222222", "foreign"
	foreign.Name = build.RunName(foreign.ID)
	w.runs = append(w.runs, foreign)
	for path, want := range map[string]int{
		"00000002": http.StatusOK, "000000000002": http.StatusOK, "0000002": http.StatusNotFound,
		"00000001": http.StatusConflict, "22222222": http.StatusNotFound, "0000000g": http.StatusNotFound,
		"0190f2a4": http.StatusNotFound, "00000002/log": http.StatusOK,
	} {
		res := w.call(t, "read", http.MethodGet, api.Prefixes[0]+"/builds/"+path)
		text := body(t, res)
		if res.StatusCode != want {
			t.Errorf("%s: %s %s", path, res.Status, text)
		}
		var p api.Problem
		if want != http.StatusConflict {
			continue
		}
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{w.runs[6].ID, w.runs[1].ID}, p.Candidates); diff != "" || p.Code != "Ambiguous" {
			t.Error(p.Code, diff)
		}
	}
}

// TestARejectedBuildIsShownOfItsObject, which is all that knows of it.
func TestARejectedBuildIsShownOfItsObject(t *testing.T) {
	t.Parallel()
	w := newWorld()
	record := build.Record{Build: id, Status: build.Status{
		Phase: build.Failed, Reason: build.ReasonInvalidBuildSpec, Message: "wrong", Requested: now,
	}}
	data, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	w.record = string(data)
	for path, want := range map[string]bool{
		"/builds/" + id: false, "/builds/" + id + "?application=app": true, "/builds/42ac120002?application=app": true,
		"/builds/" + id + "?application=foreign": false, "/builds?application=app": true, "/builds": false,
	} {
		res := w.call(t, "read", http.MethodGet, api.Prefixes[0]+path)
		if text := body(t, res); strings.Contains(text, `"rejected":true`) != want {
			t.Errorf("%s: %s", path, text)
		}
	}
	w.runs = []build.Run{{ID: id, Name: build.RunName(id), Object: build.ObjectRef{Application: "app"}}}
	res := w.call(t, "read", http.MethodGet, api.Prefixes[0]+"/builds/"+id+"?application=app")
	if text := body(t, res); strings.Contains(text, `"rejected":true`) {
		t.Errorf("one that became a build after all: %s", text)
	}
}

// TestWhatASingleBuildSaysBesides: what came before and after it, how long it will take, and what the
// caller may do.
func TestWhatASingleBuildSaysBesides(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runs = manyRuns()
	for i := range w.runs {
		if r := &w.runs[i]; r.Phase == build.Succeeded {
			r.Started, r.Completed = r.Requested, r.Requested.Add(time.Duration(10*(i+1))*time.Second)
		}
	}
	w.runs[3].Phase, w.runs[3].Reason = build.Cancelled, build.ReasonSuperseded
	w.runs[6].Phase, w.runs[6].Reason = build.Queued, build.ReasonQueued
	get := func(token string, n int) (b api.Build) {
		res := w.call(t, token, http.MethodGet, api.Prefixes[0]+"/builds/"+w.runs[n].ID)
		if err := json.Unmarshal([]byte(body(t, res)), &b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	type besides struct {
		By, Of          string
		Estimate, Queue int
		Actions         []string
	}
	for _, tt := range []struct {
		token string
		n     int
		want  besides
	}{
		{"trigger", 1, besides{Actions: []string{"rerun", "trigger"}}},
		{"trigger", 3, besides{By: w.runs[4].ID, Actions: []string{"trigger"}}},
		{"trigger", 4, besides{Of: w.runs[3].ID, Actions: []string{"trigger"}}},
		{"trigger", 5, besides{Estimate: 50, Actions: []string{"cancel", "trigger"}}},
		{"trigger", 6, besides{Estimate: 50, Queue: 1, Actions: []string{"cancel", "trigger"}}},
		{"read", 5, besides{Estimate: 50, Actions: []string{}}},
		{"role", 5, besides{Estimate: 50, Actions: []string{"cancel", "trigger"}}},
	} {
		b := get(tt.token, tt.n)
		got := besides{b.SupersededBy, b.Supersedes, b.Estimate, b.Queue, b.Actions}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s, build %d: %s", tt.token, tt.n, diff)
		}
	}
}

func TestABuildThatHasNotChangedIsSentOnce(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runs = manyRuns()
	path := api.Prefixes[0] + "/builds/" + w.runs[5].ID
	tag := w.call(t, "read", http.MethodGet, path).Header.Get("ETag")
	res := w.call(t, "read", http.MethodGet, path, "If-None-Match", `"x", `+tag)
	if text := body(t, res); res.StatusCode != http.StatusNotModified || text != "" || tag == "" {
		t.Error(res.Status, tag, text)
	}
	w.runs[5].Progress = 44.2
	if res := w.call(t, "read", http.MethodGet, path, "If-None-Match", tag); res.StatusCode != http.StatusOK {
		t.Error(res.Status)
	}
}

// TestABuildIsAskedForByABody, as browsers have to for a device whose name they take for a path.
func TestABuildIsAskedForByABody(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		status  int
		request build.Request
	}{
		`{"application":"app"}`: {202, build.Request{Object: build.ObjectRef{Application: "app"}}},
		`{"application":"app","device":"a b/c","rev":"v1.2"}`: {202, build.Request{
			Object: build.ObjectRef{Application: "app", Device: "a b/c"}, Revision: "v1.2",
		}},
		`{"application":"app","rev":"-x"}`: {400, build.Request{}},
		`{"application":"app","ref":"x"}`:  {400, build.Request{}},
		`{"application":"app"} {}`:         {400, build.Request{}},
		`{}`:                               {400, build.Request{}},
		``:                                 {400, build.Request{}},
		`{"application":"` + strings.Repeat("a", 70<<10) + `"}`: {413, build.Request{}},
		`{"application":"none"}`:                                {404, build.Request{}},
	} {
		w := newWorld()
		res := w.post(t, "trigger", http.MethodPost, api.Prefixes[0]+"/builds", text)
		if answer := body(t, res); res.StatusCode != want.status || len(w.sent) != map[bool]int{true: 1}[want.status == 202] {
			t.Errorf("%.60s: %s %s", text, res.Status, answer)
			continue
		}
		if want.status != 202 {
			continue
		}
		got, err := event.DecodeRequested(w.sent[0])
		want.request.ID, want.request.Cause, want.request.Requester, want.request.Time = id, build.CauseAPI, "alice", now
		want.request.DescriptionHash = got.DescriptionHash
		if diff := cmp.Diff(want.request, got); diff != "" || err != nil {
			t.Error(err, diff)
		}
	}
}

func TestABuildIsRerun(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runs = manyRuns()
	w.runs[5].Phase = build.Succeeded
	old := &w.runs[4]
	old.DescriptionHash, old.Description = "hash", build.Description{Builder: "b"}
	path := api.Prefixes[0] + "/builds/" + old.ID + "/rerun"
	if res := w.call(t, "trigger", http.MethodPost, path); res.StatusCode != http.StatusAccepted {
		t.Fatal(res.Status, body(t, res))
	}
	got, err := event.DecodeRequested(w.sent[0])
	want := build.Request{
		ID:              id,
		Object:          old.Object,
		Of:              old.ID,
		DescriptionHash: "hash",
		Cause:           build.CauseRerun,
		Requester:       "alice",
		Time:            now,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	for name, tt := range map[string]struct {
		token  string
		change func(*world, *build.Run)
		want   int
	}{
		"without the right": {"read", func(*world, *build.Run) {}, http.StatusForbidden},
		"of strangers": {
			"trigger", func(_ *world, r *build.Run) { r.Object.Application = "foreign" }, http.StatusNotFound,
		},
		"in place of one of the description": {
			"trigger", func(w *world, _ *build.Run) { w.runs[6].Phase = build.Running }, http.StatusConflict,
		},
		"while it runs":     {"trigger", func(_ *world, r *build.Run) { r.Phase = build.Running }, http.StatusConflict},
		"without a commit":  {"trigger", func(_ *world, r *build.Run) { r.Commit = "" }, http.StatusConflict},
		"that has compiled": {"trigger", func(_ *world, r *build.Run) { r.Publishes = id }, http.StatusConflict},
		"by a builder that is not admitted any more": {
			"trigger", func(w *world, _ *build.Run) { w.policy.Builders = []string{"trusted/"} }, http.StatusConflict,
		},
	} {
		w := newWorld()
		w.runs = manyRuns()
		w.runs[5].Phase = build.Succeeded
		w.runs[4].Description.Builder = "b"
		tt.change(w, &w.runs[4])
		if res := w.call(t, tt.token, http.MethodPost, path); res.StatusCode != tt.want || len(w.sent) != 0 {
			t.Errorf("%s: %s %s", name, res.Status, body(t, res))
		}
	}
}
