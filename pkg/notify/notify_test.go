// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package notify_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/event/eventtest"
	"github.com/drogue-iot/ajour/pkg/notify"
)

const id = "0190f2a4-6c3b-7a57-8f0e-0242ac120002"

var (
	now    = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	commit = strings.Repeat("a", 40)
)

// forge is a double of the three APIs, which answer alike. It records what is posted.
type forge struct {
	*httptest.Server
	calls  []string
	posted []map[string]string
	// list is what the forge knows of the commit, status what it answers; 0 for the usual.
	list   string
	pages  map[string]string
	status int
	header http.Header
}

func (f *forge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := r.Header.Get("Private-Token") + r.Header.Get("Authorization")
	f.calls = append(f.calls, r.Method+" "+r.URL.EscapedPath()+" "+token)
	for name := range f.header {
		w.Header().Set(name, f.header.Get(name))
	}
	switch {
	case f.status != 0:
		w.WriteHeader(f.status)
		_, _ = io.WriteString(w, `{"message": "no"}`)
	case r.Method == http.MethodGet:
		_, _ = io.WriteString(w, orElse(f.pages[r.URL.Query().Get("page")], f.list))
	default:
		var body map[string]string
		_ = json.NewDecoder(r.Body).Decode(&body)
		f.posted = append(f.posted, body)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "{}")
	}
}

func orElse(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func start(t *testing.T) *forge {
	t.Helper()
	f := &forge{list: "[]"}
	f.Server = httptest.NewTLSServer(f)
	t.Cleanup(f.Close)
	return f
}

// post hands an event to the handler, and returns the status, and what became of the build.
func (f *forge) post(t *testing.T, kind string, ev cloudevents.Event, err error) (int, []string) {
	t.Helper()
	forges, perr := notify.ParseForges(kind+"="+f.URL, false)
	if err != nil || perr != nil {
		t.Fatal(err, perr)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "127.0.0.1"), []byte("planted\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var outcomes []string
	srv := httptest.NewServer(notify.New(f.Client().Transport, notify.Options{
		Log: slog.New(slog.DiscardHandler), Events: eventtest.Options(now), Forges: forges, Tokens: notify.Folder(dir),
		Builds: "https://builds.example.org/",
		Count:  func(_ context.Context, outcome string) { outcomes = append(outcomes, outcome) },
	}))
	defer srv.Close()
	reply, err := event.Send(t.Context(), srv.Client(), srv.URL, eventtest.Sign(t, ev))
	if err != nil || len(reply.Body) > 0 {
		t.Fatal(reply, err)
	}
	return reply.Status, outcomes
}

// run is a build of a repository of the forge.
func (f *forge) run(path string, phase build.Phase, reason build.Reason, message string) build.Run {
	r := build.Run{
		ID: id, Object: build.ObjectRef{Application: "greenhouse", Device: "pump 1"}, Source: build.Source{URI: f.URL + path},
	}
	r.Phase, r.Reason, r.Message, r.Commit, r.Requested = phase, reason, message, commit, now
	if phase == build.Succeeded {
		r.Artifact = &build.Artifact{Reference: "quay.io/acme/greenhouse:main"}
	}
	return r
}

// TestACommitShowsItsBuild, as each forge wants it.
func TestACommitShowsItsBuild(t *testing.T) {
	t.Parallel()
	object := build.ObjectRef{Application: "greenhouse", Device: "pump 1"}
	name, link := "ajour/"+object.PlainName(), "https://builds.example.org/builds/"+id
	long := strings.Repeat("é", 200)
	for kind, paths := range map[string]struct{ repository, list, post, token, context string }{
		"github": {
			"/acme/fw.git", "GET /api/v3/repos/acme/fw/commits/" + commit + "/status",
			"POST /api/v3/repos/acme/fw/statuses/" + commit, "Bearer planted", "context",
		},
		"gitea": {
			"/acme/fw", "GET /api/v1/repos/acme/fw/commits/" + commit + "/status",
			"POST /api/v1/repos/acme/fw/statuses/" + commit, "Bearer planted", "context",
		},
		"gitlab": {
			"/acme/boards/fw.git", "GET /api/v4/projects/acme%2Fboards%2Ffw/repository/commits/" + commit + "/statuses",
			"POST /api/v4/projects/acme%2Fboards%2Ffw/statuses/" + commit, "planted", "name",
		},
	} {
		for _, tt := range []struct {
			phase         build.Phase
			reason        build.Reason
			message       string
			state, gitlab string
			description   string
			announce      func(string, build.Run) (cloudevents.Event, error)
		}{
			{build.Running, build.ReasonFetchingSource, "", "pending", "running", "Build " + id + " runs", event.Started},
			{
				build.Succeeded, build.ReasonSucceeded, "", "success", "success",
				"Build " + id + " succeeded: quay.io/acme/greenhouse:main", event.Finished,
			},
			{
				build.Failed, build.ReasonBuildFailed, long, "failure", "failed",
				"Build " + id + " failed: BuildFailed " + long[:2*76] + "…", event.Finished,
			},
			{
				build.Cancelled, build.ReasonSuperseded, "", "error", "canceled", "Build " + id + " ended: Superseded",
				event.Finished,
			},
		} {
			f := start(t)
			ev, err := tt.announce(event.SourceStatus, f.run(paths.repository, tt.phase, tt.reason, tt.message))
			code, outcomes := f.post(t, kind, ev, err)
			if diff := cmp.Diff([]string{notify.Posted}, outcomes); diff != "" || code != 202 {
				t.Fatal(kind, code, diff)
			}
			state := tt.state
			if kind == "gitlab" {
				state = tt.gitlab
			}
			want := []map[string]string{{
				paths.context: name, "state": state, "description": tt.description, "target_url": link,
			}}
			if diff := cmp.Diff(want, f.posted); diff != "" {
				t.Error(kind, diff)
			}
			if diff := cmp.Diff([]string{paths.list + " " + paths.token, paths.post + " " + paths.token}, f.calls); diff != "" {
				t.Error(kind, diff)
			}
		}
	}
}

// TestAStatusIsPostedOnce, and the start of a build that is reported late does not hide its end.
func TestAStatusIsPostedOnce(t *testing.T) {
	t.Parallel()
	object := build.ObjectRef{Application: "greenhouse", Device: "pump 1"}
	status := func(context, description string) string {
		return fmt.Sprintf(`[{"context": "x", "name": "x"}, {"context": %q, "description": %q}]`, context, description)
	}
	own := "ajour/" + object.PlainName()
	ended := "Build " + id + " succeeded: quay.io/acme/greenhouse:main"
	for name, tt := range map[string]struct {
		list, outcome string
		announce      func(string, build.Run) (cloudevents.Event, error)
	}{
		"a start":                            {"[]", notify.Posted, event.Started},
		"a start that is there":              {status(own, "Build "+id+" runs"), notify.Known, event.Started},
		"a start after the end":              {status(own, ended), notify.Known, event.Started},
		"a start after a different build":    {status(own, "Build 7 succeeded"), notify.Posted, event.Started},
		"a start beside a different object":  {status("ajour/other", ended), notify.Posted, event.Started},
		"an end":                             {status(own, "Build "+id+" runs"), notify.Posted, event.Finished},
		"an end that is there":               {status(own, ended), notify.Known, event.Finished},
		"an end that GitLab has by its name": {strings.Replace(status(own, ended), `"context": "ajour`, `"name": "ajour`, 1), notify.Known, event.Finished},
	} {
		f := start(t)
		f.list = tt.list
		r := f.run("/acme/fw", build.Running, build.ReasonBuilding, "")
		if strings.HasPrefix(name, "an end") {
			r = f.run("/acme/fw", build.Succeeded, build.ReasonSucceeded, "")
		}
		ev, err := tt.announce(event.SourceStatus, r)
		if _, outcomes := f.post(t, "gitea", ev, err); !cmp.Equal(outcomes, []string{tt.outcome}) {
			t.Errorf("%s: %v", name, outcomes)
		}
	}
}

// TestABuildThatSomebodyEndedHidesNoOther: the newer one may have ended before that is heard of.
func TestABuildThatSomebodyEndedHidesNoOther(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		`{"statuses": []}`: notify.Posted,
		`{"statuses": [{"context": "ajour/a", "description": "Build ` + id + ` runs"}]}`: notify.Posted,
		`{"statuses": [{"context": "ajour/a", "description": "Build 7 succeeded"}]}`:     notify.Known,
	} {
		f := start(t)
		f.list = list
		r := f.run("/acme/fw", build.Cancelled, build.ReasonSuperseded, "")
		r.Object = build.ObjectRef{Application: "a"}
		ev, err := event.Finished(event.SourceStatus, r)
		if _, outcomes := f.post(t, "github", ev, err); !cmp.Equal(outcomes, []string{want}) {
			t.Errorf("%s: %v", list, outcomes)
		}
	}
}

// TestACommitMayHaveManyStatuses: one of a later page counts as well.
func TestACommitMayHaveManyStatuses(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.pages = map[string]string{
		"1": `{"statuses": [` + strings.Repeat(`{"context": "x"},`, 49) + `{"context": "x"}]}`,
		"2": `{"statuses": [{"context": "ajour/a", "description": "Build ` + id + ` succeeded: quay.io/acme/greenhouse:main"}]}`,
	}
	r := f.run("/acme/fw", build.Running, build.ReasonBuilding, "")
	r.Object = build.ObjectRef{Application: "a"}
	ev, err := event.Started(event.SourceStatus, r)
	if _, outcomes := f.post(t, "gitea", ev, err); !cmp.Equal(outcomes, []string{notify.Known}) {
		t.Error(outcomes, f.calls)
	}
}

// TestATokenGoesToItsForgeOnly: to no repository elsewhere, and to no address that an answer names.
func TestATokenGoesToItsForgeOnly(t *testing.T) {
	t.Parallel()
	f := start(t)
	for name, change := range map[string]func(*build.Run){
		"a different host":      func(r *build.Run) { r.Source.URI = "https://git.example.org/acme/fw" },
		"a name that is longer": func(r *build.Run) { r.Source.URI = "https://127.0.0.1.example.org/acme/fw" },
		"no repository":         func(r *build.Run) { r.Source.URI = f.URL + "/acme" },
		"a path that goes up":   func(r *build.Run) { r.Source.URI = f.URL + "/acme/.." },
		"more than a name":      func(r *build.Run) { r.Source.URI = f.URL + "/acme/fw/x" },
		"no source":             func(r *build.Run) { r.Source.URI = "" },
		"no commit":             func(r *build.Run) { r.Commit = "" },
		"no hash of a commit":   func(r *build.Run) { r.Commit = "../../user" },
	} {
		r := f.run("/acme/fw", build.Succeeded, build.ReasonSucceeded, "")
		change(&r)
		ev, err := event.Finished(event.SourceStatus, r)
		if code, outcomes := f.post(t, "github", ev, err); code != 202 || !cmp.Equal(outcomes, []string{notify.Unlisted}) {
			t.Errorf("%s: %d %v", name, code, outcomes)
		}
	}
	if len(f.calls) > 0 {
		t.Error(f.calls)
	}
	thief := start(t)
	f.status, f.header = http.StatusTemporaryRedirect, http.Header{"Location": {thief.URL}}
	ev, err := event.Finished(event.SourceStatus, f.run("/acme/fw", build.Succeeded, build.ReasonSucceeded, ""))
	if code, outcomes := f.post(t, "gitlab", ev, err); code != 202 || !cmp.Equal(outcomes, []string{notify.Refused}) ||
		len(thief.calls) > 0 {
		t.Error(code, outcomes, thief.calls)
	}
}

// TestAForgeThatIsAwayIsWaitedFor, and what it refuses is given up.
func TestAForgeThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		header http.Header
		code   int
	}{
		{500, nil, 503},
		{408, nil, 503},
		{409, nil, 503},
		{502, nil, 503},
		{429, nil, 503},
		{403, http.Header{"Retry-After": {"60"}}, 503},
		{403, http.Header{"X-Ratelimit-Remaining": {"0"}}, 503},
		{400, nil, 202},
		{401, nil, 202},
		{403, nil, 202},
		{404, nil, 202},
		{422, nil, 202},
	} {
		f := start(t)
		f.status, f.header = tt.status, tt.header
		ev, err := event.Finished(event.SourceStatus, f.run("/acme/fw", build.Succeeded, build.ReasonSucceeded, ""))
		if code, _ := f.post(t, "github", ev, err); code != tt.code {
			t.Errorf("%d %v: %d", tt.status, tt.header, code)
		}
	}
	f := start(t)
	f.list = "<html>"
	ev, err := event.Finished(event.SourceStatus, f.run("/acme/fw", build.Succeeded, build.ReasonSucceeded, ""))
	if code, outcomes := f.post(t, "github", ev, err); code != 202 || !cmp.Equal(outcomes, []string{notify.Refused}) {
		t.Error(code, outcomes)
	}
}

// TestWhatIsNoBuildIsLeftAlone: events that are forged, malformed, or of a different type.
func TestWhatIsNoBuildIsLeftAlone(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := f.run("/acme/fw", build.Succeeded, build.ReasonSucceeded, "")
	forged, err := event.Finished(event.SourceStatus, r)
	forged.SetExtension("signature", "AAAA")
	if code, outcomes := f.post(t, "github", forged, err); code != 202 || len(outcomes) > 0 {
		t.Error(code, outcomes)
	}
	r.ID = "none"
	malformed, err := event.Finished(event.SourceStatus, r)
	if code, _ := f.post(t, "github", malformed, err); code != 400 {
		t.Error(code)
	}
	other, err := event.Cancelled(event.SourceAPI, build.Cancellation{ID: id, Object: r.Object, Time: now})
	if code, outcomes := f.post(t, "github", other, err); code != 202 || len(outcomes) > 0 {
		t.Error(code, outcomes)
	}
	if len(f.calls) > 0 {
		t.Error(f.calls)
	}
}

// TestForgesAreListedWithTheirKind.
func TestForgesAreListedWithTheirKind(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"": "", "github=https://github.com, gitea=https://git.example.org:3000/forge/ ,gitlab=https://gitlab.com": "",
		"svn=https://h":             `"svn=https://h" is no forge: write github=URL, gitlab=URL or gitea=URL`,
		"https://h":                 `is no forge`,
		"github":                    `"github" has no URL: write github=https://HOST`,
		"github=h":                  `has no URL`,
		"gitea=ssh://h":             `has no URL`,
		"gitea=https://u:planted@h": `has no URL`,
		"gitea=http://h":            `a token would be sent to h unencrypted`,
	} {
		if _, err := notify.ParseForges(
			list,
			false,
		); (err == nil) != (want == "") ||
			err != nil && !strings.Contains(err.Error(), want) ||
			err != nil && strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: %v", list, err)
		}
	}
	if forges, err := notify.ParseForges("gitea=http://h", true); err != nil || len(forges) != 1 {
		t.Error(forges, err)
	}
}

// TestTheCAOfAForgeMayBeOnesOwn.
func TestTheCAOfAForgeMayBeOnesOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if roots, err := notify.Folder("").Roots(); roots != nil || err != nil {
		t.Error(roots, err)
	}
	if roots, err := notify.Folder(dir).Roots(); roots != nil || err != nil {
		t.Error(roots, err)
	}
	f := start(t)
	for content, valid := range map[string]bool{
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})): true, "x": false,
	} {
		if err := os.WriteFile(filepath.Join(dir, "ca.crt"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if roots, err := notify.Folder(dir).Roots(); (roots != nil) != valid || (err == nil) != valid {
			t.Error(valid, err)
		}
	}
}
