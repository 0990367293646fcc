// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/build"
)

// events reads a stream.
type events struct {
	t     *testing.T
	lines *bufio.Scanner
}

func (w *world) events(t *testing.T, query string) *events {
	t.Helper()
	res := w.call(t, "read", http.MethodGet, api.Prefixes[0]+"/events"+query)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(res.Status, body(t, res))
	}
	e := &events{t, bufio.NewScanner(res.Body)}
	if e.line() != "retry: 2000" || e.line() != "" {
		t.Fatal("no retry")
	}
	return e
}

func (e *events) line() string {
	e.t.Helper()
	if !e.lines.Scan() {
		e.t.Fatal("the stream has ended", e.lines.Err())
	}
	return e.lines.Text()
}

// next returns the next event: its kind, and the builds that it has by the ends of their ids with their
// phases.
func (e *events) next() string {
	e.t.Helper()
	first := e.line()
	if first == ": alive" {
		e.line()
		return first
	}
	kind, ok := strings.CutPrefix(first, "event: ")
	data, more := strings.CutPrefix(e.line(), "data: ")
	if !ok || !more || e.line() != "" {
		e.t.Fatalf("%s, %s", first, data)
	}
	list := []api.Build{{}}
	var err error
	switch kind {
	case "snapshot":
		err = json.Unmarshal([]byte(data), &list)
	case "build", "gone":
		err = json.Unmarshal([]byte(data), &list[0])
	default:
		return kind
	}
	if err != nil {
		e.t.Fatal(err, data)
	}
	for _, b := range list {
		kind += " " + strings.TrimSpace(b.ID[len(b.ID)-1:]+" "+b.Phase)
	}
	return kind
}

// TestAStreamHasTheStateAndWhatChanges of what the caller may read, and asked for.
func TestAStreamHasTheStateAndWhatChanges(t *testing.T) {
	t.Parallel()
	foreign := manyRuns()[0]
	foreign.ID, foreign.Object.Application = id, "foreign"
	foreign.Name = build.RunName(id)
	for query, want := range map[string][]string{
		"":                          {"snapshot 5 Running", "build 1 Running", "build 5 Succeeded", "build 2 Failed", "gone 0"},
		"?application=app":          {"snapshot 5 Running", "build 1 Running", "build 5 Succeeded", "build 2 Failed", "gone 0"},
		"?application=app&device=d": {"snapshot", "build 1 Running"},
		"?build=000000000005":       {"snapshot 5 Running", "build 5 Succeeded"},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.runs = append(manyRuns(), foreign)
			e := w.events(t, query)
			got := []string{e.next()}
			runs := manyRuns()
			runs[1].Phase, runs[5].Phase = build.Running, build.Succeeded
			w.set(foreign)
			w.set(runs[1])
			w.set(runs[5])
			w.set(runs[2])
			w.remove(runs[0])
			for range want[1:] {
				got = append(got, e.next())
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestChangesThatComeAtOnceAreSentOnce, with the last state.
func TestChangesThatComeAtOnceAreSentOnce(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runs = manyRuns()
	e := w.events(t, "")
	e.next()
	for n := range 100 {
		r := w.runs[5]
		r.Progress = float64(n)
		if n == 99 {
			r.Phase = build.Succeeded
		}
		w.set(r)
	}
	for range 10 {
		if e.next() == "build 5 Succeeded" {
			return
		}
	}
	t.Error("a hundred changes are more than ten events")
}

// TestASubscriberThatIsBehindIsToReadTheState in place of all that it missed, once.
func TestASubscriberThatIsBehindIsToReadTheState(t *testing.T) {
	t.Parallel()
	many := make([]build.Run, 5000)
	for n := range many {
		many[n].Name = fmt.Sprint(n % 4097)
	}
	for n, want := range map[int][2]string{10: {"10 false", "0 false"}, 4096: {"4096 false", "0 false"}, 5000: {"0 true", "0 false"}} {
		first, second := api.Taken(many[:n])
		if got := [2]string{first, second}; got != want {
			t.Errorf("%d changes: %v", n, got)
		}
	}
}

// TestAStreamEndsWithTheTokenOfItsCaller, be that its time or the registry's decision.
func TestAStreamEndsWithTheTokenOfItsCaller(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.expires = now.Add(100 * time.Millisecond)
	e := w.events(t, "")
	if got := e.next() + ", " + e.next(); got != "snapshot, expired" || e.lines.Scan() {
		t.Error(got)
	}
	w = newWorld()
	w.streams.Renew = 10 * time.Millisecond
	e = w.events(t, "")
	e.next()
	w.mu.Lock()
	w.fail["registry"] = build.ErrUnauthenticated
	w.mu.Unlock()
	if got := e.next(); got != "expired" || e.lines.Scan() {
		t.Error(got)
	}
}

// TestAStreamFollowsWhatItsCallerMayRead. A registry that is away changes nothing.
func TestAStreamFollowsWhatItsCallerMayRead(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runs, w.streams.Renew = manyRuns(), 10*time.Millisecond
	e := w.events(t, "")
	if got := e.next(); got != "snapshot 5 Running" {
		t.Error(got)
	}
	w.mu.Lock()
	w.fail["registry"] = errors.New("away")
	w.mu.Unlock()
	w.mu.Lock()
	w.fail["registry"], w.readable = nil, []build.Listed{}
	w.mu.Unlock()
	if got := e.next(); got != "snapshot" {
		t.Error(got)
	}
	w.set(w.runs[5])
	w.mu.Lock()
	w.readable = nil
	w.mu.Unlock()
	if got := e.next(); got != "snapshot 5 Running" {
		t.Error(got)
	}
}

// TestAStreamHasBuildsOfANewApplication at once: it asks the registry when a build of one that it does not
// know changes, and not only from time to time.
func TestAStreamHasBuildsOfANewApplication(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runs, w.readable = manyRuns(), []build.Listed{}
	e := w.events(t, "")
	if got := e.next(); got != "snapshot" {
		t.Error(got)
	}
	w.mu.Lock()
	w.readable = nil
	w.mu.Unlock()
	ended := w.runs[5]
	ended.Phase = build.Succeeded
	w.set(ended)
	if got := e.next() + ", " + e.next(); got != "snapshot, build 5 Succeeded" {
		t.Error(got)
	}
}

func TestAStreamShowsThatItLives(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.streams.Beat = 10 * time.Millisecond
	e := w.events(t, "")
	if got := e.next() + ", " + e.next(); got != "snapshot, : alive" {
		t.Error(got)
	}
}

func TestStreamsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.runs = manyRuns()
	srv := httptest.NewServer(w.handler())
	t.Cleanup(srv.Close)
	open := func(query string) *http.Response {
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+api.Prefixes[0]+"/events"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer read")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	for query, want := range map[string]int{
		"?build=000000000005&application=app": 400, "?device=d": 400, "?application=A": 400, "?build=" + id: 404, "?id=x": 400,
	} {
		if res := open(query); res.StatusCode != want {
			t.Error(query, res.Status, body(t, res))
		}
	}
	for range 5 {
		if res := open(""); res.StatusCode != http.StatusOK {
			t.Error(res.Status)
		}
	}
	res := open("")
	if text := body(t, res); res.StatusCode != http.StatusTooManyRequests || !strings.Contains(text, "TooManyStreams") {
		t.Error(res.Status, text)
	}
}
