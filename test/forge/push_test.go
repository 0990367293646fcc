// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/test/devtest"
	"github.com/drogue-iot/ajour/test/servers"
)

// pushes has pushes built: the forge calls the webhook that "ajour hook" describes. Of a branch, of a
// tag with a message, and of what builds nothing. The commits show how their builds ended.
func (w *world) pushes(t *testing.T, credentials map[string]string) {
	t.Helper()
	secrets := t.TempDir()
	dev, login, transport := w.dev(
		t, credentials, false, "--verbose", "--secrets="+secrets, "--commit-status="+folder(t, map[string]string{
			"forges": "gitea=" + w.forge.URL, "127.0.0.1": w.forge.Token, "ca.crt": read(t, w.forge.CA),
		}),
	)
	hook := webhook(t, dev, "pushed")
	if err := os.MkdirAll(filepath.Join(secrets, "webhooks"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, secrets, "webhooks/pushed", hook.Secret+"\n")
	dir := w.work(t, "pushed")
	w.forge.Call(http.MethodPost, "/repos/"+servers.User+"/pushed/hooks", map[string]any{
		"type": "gitea", "active": true, "events": []string{"push"},
		"config": map[string]string{"url": hook.URL, "content_type": "json", "secret": hook.Secret},
	})
	uri := w.url(nil) + "pushed.git"
	describe := func(path, name, rev string, metadata map[string]any) {
		t.Helper()
		spec := devtest.Spec(uri, "pushed/"+name+":latest", "shell:1", []string{"-c", "cat main.c > firmware.bin"},
			func(b map[string]any) {
				b["source"] = map[string]any{"git": map[string]any{"uri": uri, "rev": rev, "project": "."}}
				b["triggers"] = []string{"push"}
				if rev == "broken" {
					b["args"] = []string{"-c", "exit 1"}
				}
			})
		if err := dev.Call(
			t.Context(),
			http.MethodPost,
			path,
			map[string]any{"metadata": metadata, "spec": spec},
			nil,
		); err != nil {
			t.Fatal(err)
		}
	}
	describe(devtest.Apps, "app", "main", map[string]any{"name": "pushed"})
	describe(devtest.AppPath("pushed")+"/devices", "d", "v1", map[string]any{"name": "d", "application": "pushed"})
	built := func(path, commit, want string) {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		o, err := dev.Watch(ctx, path, nil, func(o devtest.Object) bool {
			return o.Status.Build.Final() && o.Status.Build.Commit == commit
		})
		if err != nil {
			t.Fatal(err)
		}
		if b := o.Status.Build; b.Reason != "Succeeded" || b.Cause != "push" {
			t.Fatalf("%+v", b)
		}
		firmware, _, err := devtest.Pull(o.Status.Build.Artifact.Reference, login, transport)
		if diff := cmp.Diff(want, string(firmware)); diff != "" || err != nil {
			t.Error(err, diff)
		}
	}
	write(t, dir, "main.c", "first")
	first := w.commit(t, dir, "First")
	built(devtest.AppPath("pushed"), first, "first")

	w.git(t, dir, "tag", "--annotate", "--message", "v1", "v1")
	w.git(t, dir, "push", "--quiet", "origin", "v1")
	built(devtest.AppPath("pushed")+"/devices/d", first, "first")

	w.shows(t, first, map[string]string{"ajour/pushed": "success", "ajour/pushed/d": "success"})

	// What builds nothing comes before the push that does: its delivery is the last.
	w.git(t, dir, "push", "--quiet", "origin", "HEAD:next", "HEAD:refs/heads/gone")
	w.git(t, dir, "push", "--quiet", "origin", ":gone")
	write(t, dir, "main.c", "skipped")
	w.commit(t, dir, "Second [skip ci]")
	write(t, dir, "main.c", "third")
	third := w.commit(t, dir, "Third")
	built(devtest.AppPath("pushed"), third, "third")
	if got := builds(t, dev); got != 3 {
		t.Errorf("%d builds, want those of the first and the third commit, and of the tag", got)
	}
	describe(devtest.AppPath("pushed")+"/devices", "e", "broken", map[string]any{"name": "e", "application": "pushed"})
	w.git(t, dir, "push", "--quiet", "origin", "HEAD:broken")
	w.shows(t, third, map[string]string{"ajour/pushed": "success", "ajour/pushed/e": "failure"})
}

// shows waits until the statuses of a commit are these.
func (w *world) shows(t *testing.T, commit string, want map[string]string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for {
		var list []struct{ Context, Status, Description string }
		w.forge.Get("/repos/"+servers.User+"/pushed/commits/"+commit+"/statuses?sort=oldest", &list)
		got := map[string]string{}
		for _, s := range list {
			got[s.Context] = s.Status
		}
		diff := cmp.Diff(want, got)
		if diff == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s\n%+v", diff, list)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// described is what "ajour hook" prints.
type described struct{ Application, URL, Secret string }

func webhook(t *testing.T, dev *devtest.Dev, application string) (d described) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), ajour, "hook", application, "--url="+dev.URL, "-o", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// builds counts all builds.
func builds(t *testing.T, dev *devtest.Dev) int {
	t.Helper()
	var list []json.RawMessage
	if err := dev.Call(t.Context(), http.MethodGet, devtest.Builds+"/builds", nil, &list); err != nil {
		t.Fatal(err)
	}
	return len(list)
}
