// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"bytes"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/test/devtest"
)

// conditions drops the times, after looking that they are there.
func conditions(t *testing.T, o devtest.Object) []devtest.Condition {
	t.Helper()
	var list []devtest.Condition
	for _, c := range o.Status.Firmware.Conditions {
		if c.LastTransitionTime.IsZero() {
			t.Errorf("%s has no time", c.Type)
		}
		c.LastTransitionTime = time.Time{}
		list = append(list, c)
	}
	return list
}

func TestTheGatewayFirmwareIsBuilt(t *testing.T) {
	t.Parallel()
	w := start(t)
	url, commit := serve(t, folder(t, "../firmware/gateway"))
	w.createApp("gateway", devtest.Spec(url, "gateway:"+commit[:7], "golang:1.26", []string{"run", "./build"}))
	id := w.trigger("/apps/gateway")
	o := w.await(devtest.AppPath("gateway"), id)
	want := []devtest.Condition{
		{
			Type:   "BuildStatus",
			Status: "True",
			Reason: "Succeeded",
		},
		{Type: "BuildProgress", Status: "True", Message: "100.0 %"},
	}
	if diff := cmp.Diff(want, conditions(t, o)); diff != "" {
		t.Fatal(diff, o.Status.Build.Message)
	}
	a := o.Status.Build.Artifact
	firmware, metadata, err := devtest.Pull(a.Reference)
	if err != nil {
		t.Fatal(err)
	}
	var downloaded bytes.Buffer
	if err := w.Stream(t.Context(), devtest.Builds+"/builds/"+id+"/artifact", &downloaded); err != nil ||
		!bytes.Equal(downloaded.Bytes(), firmware) {
		t.Errorf("%d bytes are downloaded of %d: %v", downloaded.Len(), len(firmware), err)
	}
	if int64(len(firmware)) != a.Size || !strings.HasPrefix(string(firmware), "\x7fELF") {
		t.Errorf("%d bytes of firmware, want %d of ELF", len(firmware), a.Size)
	}
	if !strings.Contains(string(metadata), `"version":"`+commit[:7]+`"`) || a.Version != commit[:7] ||
		o.Status.Build.Commit != commit {
		t.Errorf("version %s, commit %s, %s", a.Version, o.Status.Build.Commit, metadata)
	}
	if b := w.cliBuild(
		id,
	); b.Status != "Succeeded" || b.Progress != 100 || b.Requester != "developer" ||
		b.Cause != "api" {
		t.Errorf("the command line shows %+v", b)
	}
	code, log, errs := w.ajour("logs", id)
	if code != 0 || !strings.Contains(log, "built revision "+commit[:7]) || !strings.Contains(log, "== publish") {
		t.Errorf("exit %d: %s%s", code, log, errs)
	}
}

// TestTheMicrobitFirmwareBoots builds bare-metal firmware, boots what was
// published, and compares what it prints with the version of the artifact.
func TestTheMicrobitFirmwareBoots(t *testing.T) {
	t.Parallel()
	w := start(t)
	url, commit := serve(t, folder(t, "../firmware/microbit"))
	w.createApp("microbit", devtest.Spec(url, "microbit:"+commit[:7], "make:1", []string{"firmware.bin"}))
	o := w.await(devtest.AppPath("microbit"), w.trigger("/apps/microbit"))
	if o.Status.Build.Artifact == nil {
		t.Fatal(o.Status.Build.Message)
	}
	firmware, _, err := devtest.Pull(o.Status.Build.Artifact.Reference)
	if err != nil {
		t.Fatal(err)
	}
	line, err := devtest.Boot(t.Context(), t.TempDir(), firmware, len(o.Status.Build.Artifact.Version)+1)
	if want := o.Status.Build.Artifact.Version + "\n"; err != nil || string(line) != want {
		t.Errorf("the firmware prints %q, want %q: %v", line, want, err)
	}
}

func TestADeviceIsBuiltByItsOwnDescriptionOnly(t *testing.T) {
	t.Parallel()
	w := start(t)
	url := anything(t)
	w.createApp("greenhouse", shell(url, makeFirmware))
	const odd = "sensor #7/é"
	w.createDevice(
		"greenhouse", odd,
		shell(url, makeFirmware, func(b map[string]any) { b["env"] = []map[string]any{{"name": "BOARD", "value": "a"}} }),
	)
	w.createDevice("greenhouse", "plain", map[string]any{})
	path := devtest.DevicePath("greenhouse", odd)
	id := w.trigger("/apps/greenhouse/devices/sensor%20%237%2F%C3%A9")
	o := w.await(path, id)
	if o.Status.Build.Phase != "Succeeded" {
		t.Error(o.Status.Build.Message)
	}
	var raw struct {
		Status struct{ Firmware map[string]any }
	}
	if err := w.Call(t.Context(), http.MethodGet, path, nil, &raw); err != nil {
		t.Fatal(err)
	}
	// COND-3: the update server cannot read the section without these.
	if raw.Status.Firmware["current"] != "" || raw.Status.Firmware["target"] != "" {
		t.Error(raw.Status.Firmware)
	}
	for _, path := range []string{"/apps/greenhouse/devices/plain", "/apps/greenhouse/devices/none", "/apps/none"} {
		var status *devtest.StatusError
		err := w.Call(t.Context(), http.MethodPost, devtest.Builds+path+"/trigger", nil, nil)
		if !errors.As(err, &status) || status.Status != http.StatusNotFound {
			t.Errorf("%s: %v", path, err)
		}
	}
	code, out, errs := w.ajour("get", "builds", "greenhouse", odd)
	if code != 0 || !strings.Contains(out, id) {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

// TestAChangedDescriptionIsBuiltOnce: what starts a build is the description,
// not the writing of status, nor a change of anything else.
func TestAChangedDescriptionIsBuiltOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	url := anything(t)
	describe := func(comment string) map[string]any {
		return shell(url, makeFirmware+" # "+comment, func(b map[string]any) { delete(b, "triggers") })
	}
	path := devtest.AppPath("auto")
	put := func(labels map[string]any, spec map[string]any) {
		t.Helper()
		object := map[string]any{
			"metadata": map[string]any{"name": "auto", "labels": labels},
			"spec":     devtest.Of("auto", spec),
		}
		if err := w.Call(t.Context(), http.MethodPut, path, object, nil); err != nil {
			t.Fatal(err)
		}
	}
	ended := func(not ...string) string {
		t.Helper()
		o := w.until(path, func(o devtest.Object) bool {
			for _, id := range not {
				if o.Status.Build.Build == id {
					return false
				}
			}
			return o.Status.Build.Final()
		})
		if o.Status.Build.Phase != "Succeeded" {
			t.Fatal(o.Status.Build.Message)
		}
		return o.Status.Build.Build
	}
	w.createApp("auto", describe("one"))
	first := ended()
	put(map[string]any{"a": "b"}, describe("one")) // this drops the status, too: it comes back
	if second := ended(); second != first {
		t.Errorf("a second build %s after %s for a change of labels", second, first)
	}
	put(map[string]any{}, describe("two"))
	second := ended(first)
	put(map[string]any{}, describe("one")) // back to the former one: a new build all the same
	third := ended(first, second)
	list := w.builds("?application=auto")
	var got []string
	for _, b := range list {
		got = append(got, b.ID+" "+b.Cause)
	}
	if diff := cmp.Diff([]string{third + " change", second + " change", first + " change"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTriggerWithWaitShowsTheProgress(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.createApp("fw", shell(anything(t), "sleep 1; "+makeFirmware))
	code, out, errs := w.ajour("trigger", "fw", "--wait")
	if code != 0 ||
		!regexp.MustCompile(
			`(?s)20\.0 %  Building.*100\.0 %  Succeeded.*Artifact +127\.0\.0\.1:\d+/[a-z]+:latest`,
		).MatchString(
			out,
		) {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if !strings.Contains(out, "the firmware was built as") {
		t.Errorf("no warning that the tag is not the version: %s", out)
	}
}

func TestANewerBuildSupersedesTheRunningOne(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.createApp("fw", shell(anything(t), "sleep 2; "+makeFirmware))
	first := w.trigger("/apps/fw")
	w.until(devtest.AppPath("fw"), func(o devtest.Object) bool { return o.Status.Build.Reason == "Building" })
	second := w.trigger("/apps/fw")
	w.await(devtest.AppPath("fw"), second)
	got := map[string]string{}
	for _, b := range w.builds("?application=fw") {
		got[b.ID] = b.Reason
	}
	if diff := cmp.Diff(map[string]string{first: "Superseded", second: "Succeeded"}, got); diff != "" {
		t.Error(diff)
	}
}
