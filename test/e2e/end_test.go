// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/test/devtest"
)

// TestWaitingEndsWhenTheObjectShowsTheEnd, so that whoever reads it next finds it.
func TestWaitingEndsWhenTheObjectShowsTheEnd(t *testing.T) {
	t.Parallel()
	w := start(t)
	app := name(t)
	path := w.create(app, "", shell(t, makeFirmware))
	cmd := exec.CommandContext(t.Context(), "../../bin/ajour", "trigger", app, "--wait")
	cmd.Env = append(os.Environ(), "AJOUR_URL="+api, "AJOUR_TOKEN="+w.Token)
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "does not show") {
		t.Fatalf("%v\n%s", err, out)
	}
	var o devtest.Object
	if err := w.Call(t.Context(), http.MethodGet, path, nil, &o); err != nil {
		t.Fatal(err)
	}
	if o.Status.Build.Reason != "Succeeded" || o.Condition("BuildStatus").Reason != "Succeeded" {
		t.Errorf("%+v", o.Status)
	}
}

// TestTheEndFitsWhereTheBeginningDid: the registry takes 64 KiB of an object.
func TestTheEndFitsWhereTheBeginningDid(t *testing.T) {
	t.Parallel()
	w := start(t)
	app := name(t)
	spec := shell(t, makeFirmware)
	const room = 1000 // for what the registry adds, and the conditions
	data, err := json.Marshal(map[string]any{"metadata": map[string]any{"name": app}, "spec": devtest.Of(app, spec)})
	if err != nil {
		t.Fatal(err)
	}
	spec["other"] = strings.Repeat("x", 65536-room-len(data))
	path := w.create(app, "", spec)
	id := w.trigger("/apps/" + app)
	o := w.until(path, func(o devtest.Object) bool { return o.Condition("BuildStatus").Status == "True" })
	if o.Condition("BuildStatus").Reason != "Succeeded" || o.Status.Build.Build == id && o.Status.Build.Artifact != nil {
		t.Errorf("%+v", o.Status)
	}
}

// TestARefusedPublishLeavesTheUpdateOnItsWay: the target has as many actions as hawkBit takes.
func TestARefusedPublishLeavesTheUpdateOnItsWay(t *testing.T) {
	t.Parallel()
	prepareHawkbit(t)
	w := start(t)
	app := name(t)
	h := devtest.Hawkbit{URL: backend, User: "admin", Password: "planted-hawkbit-password"}
	manage := func(path string, body any) []byte {
		t.Helper()
		data, err := h.Manage(t.Context(), http.MethodPost, path, body)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	ids := func(data []byte) (list []int64) {
		t.Helper()
		var entries []struct{ ID int64 }
		if err := json.Unmarshal(data, &entries); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			list = append(list, e.ID)
		}
		return list
	}
	if _, err := h.Manage(
		t.Context(), http.MethodPut, "/system/configs/repository.actions.autoclose.enabled", map[string]any{"value": true},
	); err != nil {
		t.Fatal(err)
	}
	manage("/targets", []any{map[string]any{"controllerId": app}})
	module := ids(manage("/softwaremodules", []any{map[string]any{"name": app, "version": "old", "type": "os"}}))[0]
	var list []any
	for i := range 2 {
		list = append(list, map[string]any{
			"name": app, "version": fmt.Sprint("old", i), "type": "os", "modules": []any{map[string]any{"id": module}},
		})
	}
	sets := ids(manage("/distributionsets", list))
	const most = 2000
	for i := range most - 1 {
		manage("/targets/"+app+"/assignedDS", map[string]any{"id": sets[i%2]})
	}
	url, commit := serveAs(t, app, map[string]string{"README": "x"})
	path := w.create(app, "", devtest.HawkbitSpec(url, app, "", images+"/shell:latest", []string{makeFirmware}))
	if b := w.await(path, w.trigger("/apps/"+app)).Status.Build; b.Reason != "Succeeded" {
		t.Fatalf("%+v", b)
	}
	serveAs(t, app, map[string]string{"README": "y"})
	b := w.await(path, w.trigger("/apps/"+app)).Status.Build
	if b.Phase != "Failed" || !strings.Contains(b.Message, "Quota exceeded") {
		t.Errorf("%+v", b)
	}
	got, _, err := devtest.Device{Hawkbit: backend, Controller: app}.Poll(t.Context())
	want := devtest.Update{Name: app, Version: commit[:7], Content: commit[:7]}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}
