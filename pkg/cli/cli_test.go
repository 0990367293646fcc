// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/cli"
	"github.com/drogue-iot/ajour/pkg/standalone"
)

var update = flag.Bool("update", false, "rewrite the files that are compared with")

// run runs a command and returns its exit code and output.
func run(t *testing.T, env map[string]string, config string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cli.Main(t.Context(), cli.Env{
		Args:      args,
		Stdout:    &out,
		Stderr:    &errs,
		Getenv:    func(k string) string { return env[k] },
		ConfigDir: config,
		Program:   "/bin/ajour",
	})
	return code, out.String(), errs.String()
}

// TestTheReferenceIsWhatTheCommandsSay compares docs/cli.md with the help.
func TestTheReferenceIsWhatTheCommandsSay(t *testing.T) {
	t.Parallel()
	var doc strings.Builder
	doc.WriteString("# Commands\n\nThe help of every command, as the program prints it.\n")
	for _, command := range []string{"", "dev", "trigger", "get", "get builds", "get build", "logs", "publish", "cancel", "hook", "version"} {
		code, out, errs := run(t, nil, "", append(strings.Fields(command), "--help")...)
		if code != 0 || errs != "" {
			t.Fatalf("%s: exit %d: %s", command, code, errs)
		}
		fmt.Fprintf(&doc, "\n## %s\n\n```text\n%s```\n", strings.TrimSpace("ajour "+command), out)
	}
	const file = "../../docs/cli.md"
	if *update {
		if err := os.WriteFile(file, []byte(doc.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), doc.String()); diff != "" {
		t.Errorf("run go test ./pkg/cli -update\n%s", diff)
	}
}

func TestWrongCallsAreUsageErrors(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"bild":                     `unknown command "bild" for "ajour"`,
		"trigger":                  "got 0 arguments, want APPLICATION [DEVICE]",
		"trigger a b c":            "got 3 arguments, want APPLICATION [DEVICE]",
		"get build":                "got 0 arguments, want the ID of a build",
		"get bilds":                `there is no "bilds" to get: use builds or build`,
		"get builds --colour":      "unknown flag: --colour",
		"get builds -o yaml":       `output format "yaml" is neither table nor json`,
		"dev --builder golang":     `--builder "golang": write IMAGE=PROGRAM`,
		"dev --builder-env =x":     `--builder-env "=x": write NAME=VALUE`,
		"dev --engine rkt":         `--engine "rkt": use auto, podman, docker or none`,
		"get builds --limit -1":    "--limit -1: use 0 or more",
		"dev --listen 0.0.0.0:80":  `--listen "0.0.0.0:80": use an address of this machine alone`,
		"dev --listen 8080":        `--listen "8080": write HOST:PORT`,
		"dev --registry http://x/": `--registry "http://x/": write a prefix without a scheme`,
		"dev --parallel 0":         "--parallel 0: use 1 or more",
		"dev here":                 "got 1 arguments, want none",
	} {
		code, out, errs := run(t, nil, "", strings.Fields(args)...)
		if code != 2 || out != "" || !strings.HasPrefix(errs, "ajour: "+want) ||
			!strings.Contains(errs, "--help' for usage.") {
			t.Errorf("%s: exit %d: %s%s", args, code, out, errs)
		}
	}
}

// TestDevSaysWhichProgramIsMissing when it was copied without the one that runs steps.
func TestDevSaysWhichProgramIsMissing(t *testing.T) {
	t.Parallel()
	code, out, errs := run(t, nil, "", "dev", "--engine", "none")
	want := "ajour: the program ajour-step is not beside this one: \"make build\" makes both: " +
		"stat /bin/ajour-step: no such file or directory\n"
	if code != 1 || out != "" || errs != want {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

// installation is an API that answers with what it is given.
func installation(t *testing.T, answers map[string]any) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.Method+" "+strings.TrimPrefix(r.URL.RequestURI(), api.Prefixes[0])]
		status := http.StatusOK
		if p, isProblem := answer.(*api.Problem); isProblem {
			status = p.Status
		}
		if !ok {
			status = http.StatusNotFound
		}
		if r.Header.Get("Authorization") != "Bearer token" {
			status, answer = http.StatusUnauthorized, &api.Problem{Detail: "wrong token"}
		}
		w.WriteHeader(status)
		if text, isText := answer.(string); isText {
			fmt.Fprint(w, text)
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

const id = "0190f2a4-6c3b-7a57-8f0e-0242ac120002"

func succeeded() api.Build {
	at := time.Now().Add(-5 * time.Minute).Truncate(time.Second)
	return api.Build{
		Application: "greenhouse", Phase: "Succeeded", ID: id, Requester: "alice", Status: build.Status{
			Phase:     build.Succeeded,
			Reason:    build.ReasonSucceeded,
			Progress:  100,
			Requested: at,
			Started:   at,
			Completed: at.Add(90 * time.Second),
			Cause:     build.CauseAPI,
			Commit:    "4f1c2ab",
			Artifact:  &build.Artifact{Reference: "r/a:1", Digest: "sha256:1", Version: "4f1c2ab", Size: 20, SHA256: "abc"},
		},
	}
}

func TestCommandsThatTalkToAnInstallation(t *testing.T) {
	t.Parallel()
	failed := api.Build{Application: "g", Device: "d", Phase: "Failed", ID: id, Status: build.Status{
		Phase: build.Failed, Reason: build.ReasonBuildFailed, Message: "boom \x1b[31m", Cause: build.CauseChange,
	}}
	url := installation(t, map[string]any{
		"POST /apps/greenhouse/trigger":              api.Accepted{ID: id, Application: "greenhouse", Location: "/x"},
		"POST /apps/g/devices/sensor%20%237/trigger": api.Accepted{ID: id},
		"POST /apps/none/trigger":                    &api.Problem{Status: 404, Detail: "The application does not exist"},
		"GET /builds/" + id:                          succeeded(),
		"GET /builds/failed":                         failed,
		"GET /builds?limit=20":                       []api.Build{succeeded()},
		"GET /builds?application=g&device=d&limit=5": []api.Build{},
		"GET /builds/" + id + "/log?follow=true":     "== fetch-source\nfine\x1b[2J\r\n",
		"DELETE /builds/" + id:                       api.Accepted{ID: id},
	})
	for _, tt := range []struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{[]string{"trigger", "greenhouse"}, 0, "Build " + id + " is accepted. To see it: ajour get build " + id + "\n", ""},
		{
			[]string{"trigger", "g", "sensor #7"},
			0,
			"Build " + id + " is accepted. To see it: ajour get build " + id + "\n",
			"",
		},
		{[]string{"trigger", "none"}, 1, "", "ajour: not found: The application does not exist\n"},
		{[]string{"get", "builds"}, 0, "ID                                    OBJECT      STATUS     REASON     PROGRESS  AGE  VERSION\n" +
			id + "  greenhouse  Succeeded  Succeeded  100.0 %   5m   4f1c2ab\n", ""},
		{[]string{"get", "builds", "g", "d", "--limit", "5"}, 0, "There are no builds.\n", ""},
		{[]string{"get", "build", "unknown"}, 1, "", "ajour: not found: " + url + " answered 404 Not Found\n"},
		{[]string{"logs", id, "-f"}, 0, "== fetch-source\nfine\uFFFD[2J\n", ""},
		{[]string{"cancel", id}, 0, "Build " + id + " is being cancelled.\n", ""},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			t.Parallel()
			code, out, errs := run(t, map[string]string{"AJOUR_URL": url, "AJOUR_TOKEN": "token"}, t.TempDir(), tt.args...)
			if diff := cmp.Diff([]string{tt.stdout, tt.stderr}, []string{out, errs}); diff != "" || code != tt.code {
				t.Error(code, diff)
			}
		})
	}
	t.Run("a build is shown without what could control a terminal", func(t *testing.T) {
		t.Parallel()
		code, out, _ := run(t, nil, t.TempDir(), "get", "build", "failed", "--url", url, "--token", "token")
		if code != 0 || strings.Contains(out, "\x1b") || !strings.Contains(out, "boom [31m") ||
			!strings.Contains(out, "by a change") {
			t.Error(code, out)
		}
	})
	t.Run("waiting shows the end", func(t *testing.T) {
		t.Parallel()
		code, out, errs := run(t, nil, t.TempDir(), "trigger", "greenhouse", "--wait", "--url", url, "--token", "token")
		if code != 0 || !strings.Contains(out, "100.0 %  Succeeded") || !strings.Contains(out, "Took       1m30s") {
			t.Error(code, out, errs)
		}
	})
}

// TestTheSessionOfARunningDevIsUsed: but its token goes to no other installation.
func TestTheSessionOfARunningDevIsUsed(t *testing.T) {
	t.Parallel()
	url := installation(t, map[string]any{"GET /builds?limit=20": []api.Build{}})
	config := t.TempDir()
	data, err := json.Marshal(standalone.Session{URL: url, Token: "token"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(config, "ajour"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "ajour", "dev-127.0.0.1-1234.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := run(t, nil, config, "get", "builds"); code != 0 || out != "There are no builds.\n" {
		t.Error(code, out, errs)
	}
	code, _, errs := run(t, nil, config, "get", "builds", "--url", "http://127.0.0.1:1")
	if code != 1 || !strings.Contains(errs, "no token for http://127.0.0.1:1") {
		t.Error(code, errs)
	}
	// The address may be written in other ways, and one of the API is printed by dev.
	for _, other := range []string{
		strings.Replace(url, "127.0.0.1", "localhost", 1), url + "/", url + "/api/builds/v1alpha1", url + "/api/build/v1alpha1/",
	} {
		if code, out, errs := run(t, nil, config, "get", "builds", "--url", other); code != 0 {
			t.Error(other, code, out, errs)
		}
	}
	// What a process left that was killed does not stand in the way, though it is newer.
	killed, err := json.Marshal(standalone.Session{URL: "http://127.0.0.1:1", Token: "token", PID: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "ajour", "dev-127.0.0.1-1.json"), killed, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := run(t, nil, config, "get", "builds"); code != 0 || out != "There are no builds.\n" {
		t.Error(code, out, errs)
	}
	code, _, errs = run(t, nil, t.TempDir(), "get", "builds")
	if code != 1 || !strings.Contains(errs, `start "ajour dev" in another terminal, or set --url and --token`) {
		t.Error(code, errs)
	}
	code, _, errs = run(t, nil, t.TempDir(), "get", "builds", "--url", "http://127.0.0.1:1", "--token", "token")
	if code != 1 || !strings.Contains(errs, "cannot be reached: http://127.0.0.1:1, does it still run?") ||
		strings.Contains(errs, "token=") {
		t.Error(code, errs)
	}
}

// TestAHookIsDescribed: without a token, with a secret that is new each time, and for a person or a
// program.
func TestAHookIsDescribed(t *testing.T) {
	t.Parallel()
	var first, second struct{ Application, URL, Secret string }
	for _, into := range []any{&first, &second} {
		code, out, errs := run(t, nil, t.TempDir(), "hook", "greenhouse", "--url", "https://b.example.org/", "-o", "json")
		if err := json.Unmarshal([]byte(out), into); code != 0 || err != nil {
			t.Fatal(code, err, errs)
		}
	}
	if first.Application != "greenhouse" || first.URL != "https://b.example.org/api/builds/v1alpha1/hooks/greenhouse" ||
		len(first.Secret) != 26 || first.Secret == second.Secret {
		t.Errorf("%+v %+v", first, second)
	}
	code, out, _ := run(t, nil, t.TempDir(), "hook", "greenhouse", "--url", "https://b.example.org")
	head := "URL     https://b.example.org/api/builds/v1alpha1/hooks/greenhouse\nSecret  "
	if code != 0 || !strings.HasPrefix(out, head) ||
		!strings.Contains(out, `{"stringData": {"greenhouse": "`) ||
		strings.Contains(out, "%!") {
		t.Error(code, out)
	}
	for name, args := range map[string][]string{
		"no name of an application": {"hook", "a b", "--url", "https://b.example.org"}, "no application": {"hook"},
	} {
		if code, _, errs := run(t, nil, t.TempDir(), args...); code != 2 {
			t.Error(name, code, errs)
		}
	}
}

// TestALogMayArriveInPieces: a character is not broken where one ends.
func TestALogMayArriveInPieces(t *testing.T) {
	t.Parallel()
	const log = "größer als ¼ MiB\n"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, b := range []byte(log) {
			_, _ = w.Write([]byte{b})
			_ = http.NewResponseController(w).Flush()
		}
	}))
	t.Cleanup(srv.Close)
	code, out, errs := run(t, nil, t.TempDir(), "logs", id, "--url", srv.URL, "--token", "token")
	if code != 0 || out != log {
		t.Errorf("%d %q %s", code, out, errs)
	}
}

// TestWaitingEndsWhenTheObjectShowsTheEnd, so that who reads it next finds it.
func TestWaitingEndsWhenTheObjectShowsTheEnd(t *testing.T) {
	t.Parallel()
	var calls int
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			_ = json.NewEncoder(w).Encode(api.Accepted{ID: id})
			return
		}
		calls++
		b := succeeded()
		b.Recorded = new(calls == 3)
		_ = json.NewEncoder(w).Encode(b)
	}))
	t.Cleanup(srv.Close)
	code, out, errs := run(t, nil, t.TempDir(), "trigger", "a", "--wait", "--url", srv.URL, "--token", "token")
	if code != 0 || errs != "" || calls != 3 || strings.Count(out, "Took") != 1 {
		t.Errorf("%d after %d calls: %s%s", code, calls, out, errs)
	}
}

// TestATokenThatEndsDoesNotEndTheBuild, which the message says.
func TestATokenThatEndsDoesNotEndTheBuild(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(api.Accepted{ID: id, Warnings: []string{"a is not read\x1b"}})
	}))
	t.Cleanup(srv.Close)
	code, _, errs := run(t, nil, t.TempDir(), "trigger", "a", "--wait", "--url", srv.URL, "--token", "token")
	want := "Warning: a is not read\najour: the token is not valid any more: the build goes on, see it with: ajour get build " +
		id + "\n  and end it with: ajour cancel " + id + "\n"
	if code != 1 || errs != want {
		t.Errorf("%d %q", code, errs)
	}
}
