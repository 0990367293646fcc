// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/test/devtest"
)

// tenants are two applications that do not know each other, and a build of the first: "green" of
// the user ada, and "blue" of the user mallory. Rob may read green.
type tenants struct {
	*world
	ada, mallory, rob devtest.Client
	build             string
}

func newTenants(t *testing.T) tenants {
	t.Helper()
	w := start(t)
	n := tenants{world: w}
	for user, client := range map[string]*devtest.Client{"ada": &n.ada, "mallory": &n.mallory, "rob": &n.rob} {
		c, err := w.As(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		*client = c
	}
	spec := shell(anything(t), makeFirmware)
	n.must(n.ada, http.MethodPost, devtest.Apps, application("green", spec))
	n.must(n.ada, http.MethodPost, devtest.AppPath("green")+"/devices", map[string]any{
		"metadata": map[string]any{"application": "green", "name": "sensor"}, "spec": devtest.Of("green", spec),
	})
	n.must(n.ada, http.MethodPut, "/api/admin/v1alpha1/apps/green/members", map[string]any{
		"members": map[string]any{"rob": map[string]any{"role": "reader"}},
	})
	n.must(n.mallory, http.MethodPost, devtest.Apps, application("blue", spec))
	var accepted struct{ ID string }
	if err := n.ada.Call(t.Context(), http.MethodPost, devtest.Builds+"/apps/green/trigger", nil, &accepted); err != nil {
		t.Fatal(err)
	}
	n.build = accepted.ID
	ada := &world{Dev: &devtest.Dev{Client: n.ada}, t: t}
	if b := ada.await(devtest.AppPath("green"), n.build).Status.Build; b.Reason != "Succeeded" {
		t.Fatalf("%+v", b)
	}
	return n
}

func application(name string, spec map[string]any) map[string]any {
	return map[string]any{"metadata": map[string]any{"name": name}, "spec": devtest.Of(name, spec)}
}

func (n tenants) must(c devtest.Client, method, path string, body any) {
	n.t.Helper()
	if err := c.Call(n.t.Context(), method, path, body, nil); err != nil {
		n.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// status makes a call and returns its status.
func (n tenants) status(c devtest.Client, method, path string) int {
	n.t.Helper()
	err := c.Call(n.t.Context(), method, devtest.Builds+path, nil, nil)
	var refused *devtest.StatusError
	switch {
	case errors.As(err, &refused):
		return refused.Status
	case err != nil:
		n.t.Fatal(err)
	}
	return http.StatusOK
}

// names makes blue a description that publishes elsewhere, and returns the status of its trigger.
func (n tenants) names(change func(spec map[string]any)) int {
	n.t.Helper()
	spec := devtest.HawkbitSpec(anything(n.t), "blue", ":latest", "shell:1", []string{"-c", makeFirmware})
	spec = devtest.Of("blue", spec)
	change(spec["firmware"].(map[string]any)["hawkbit"].(map[string]any))
	n.must(n.mallory, http.MethodPut, devtest.AppPath("blue"), application("blue", spec))
	return n.status(n.mallory, http.MethodPost, "/apps/blue/trigger")
}

func image(block map[string]any) map[string]any {
	return block["build"].(map[string]any)["publish"].(map[string]any)["container"].(map[string]any)
}

// TestTenantsDoNotCross is the list of docs/security.md, in its sentences. The order matters: the last
// ones delete green.
func TestTenantsDoNotCross(t *testing.T) {
	t.Parallel()
	n := newTenants(t)
	call := func(c devtest.Client, want int, method, path string) func() error {
		return func() error {
			if got := n.status(c, method, path); got != want {
				return fmt.Errorf("%s %s answers %d, want %d", method, path, got, want)
			}
			return nil
		}
	}
	names := func(change func(block map[string]any)) func() error {
		return func() error {
			if got := n.names(change); got != http.StatusUnprocessableEntity {
				return fmt.Errorf("the trigger answers %d", got)
			}
			return nil
		}
	}
	lists := func(path string) func() error {
		return func() error {
			var raw []map[string]any
			if err := n.mallory.Call(t.Context(), http.MethodGet, devtest.Builds+path, nil, &raw); err != nil {
				return err
			}
			if slices.ContainsFunc(raw, func(b map[string]any) bool { return b["app"] != "blue" }) {
				return fmt.Errorf("it lists %v", raw)
			}
			return nil
		}
	}
	one := "/builds/" + n.build
	crossings := []struct {
		name  string
		cross func() error
	}{
		{"lists the builds of all applications", lists("/builds")},
		{"lists the builds of an application by its name", lists("/builds?application=green")},
		{"lists the newest builds, as old clients do", lists("/")},
		{"reads a build by its id", call(n.mallory, 404, http.MethodGet, one)},
		{"reads a log", call(n.mallory, 404, http.MethodGet, one+"/log")},
		{"follows a log", call(n.mallory, 404, http.MethodGet, one+"/log?follow=true")},
		{"triggers an application", call(n.mallory, 404, http.MethodPost, "/apps/green/trigger")},
		{"triggers a device", call(n.mallory, 404, http.MethodPost, "/apps/green/devices/sensor/trigger")},
		{"cancels a build", call(n.mallory, 404, http.MethodDelete, one)},
		{"publishes what a build left", call(n.mallory, 404, http.MethodPost, one+"/publish")},
		{
			"reaches an application by a path that climbs",
			call(n.mallory, 400, http.MethodPost, "/apps/blue%2F..%2Fgreen/trigger"),
		},
		{"publishes to the image of an application", names(func(b map[string]any) { image(b)["image"] = "green:latest" })},
		{"publishes to an image below that", names(func(b map[string]any) { image(b)["image"] = "green/sensor:latest" })},
		{
			"publishes to an image whose name begins alike",
			names(func(b map[string]any) { image(b)["image"] = "blue-green:latest" }),
		},
		{"assigns to the hawkBit target of an application", names(func(b map[string]any) { b["controller"] = "green" })},
		{"assigns to a target below that", names(func(b map[string]any) { b["controller"] = "green:sensor" })},
		{"has a description of somebody else's image built by changing it", func() error {
			spec := devtest.Spec(anything(t), "green:latest", "shell:1", []string{"-c", makeFirmware}, func(b map[string]any) {
				delete(b, "triggers")
			})
			n.must(n.mallory, http.MethodPut, devtest.AppPath("blue"), application("blue", spec))
			mallory := &world{Dev: &devtest.Dev{Client: n.mallory}, t: t}
			o := mallory.until(devtest.AppPath("blue"), func(o devtest.Object) bool { return o.Status.Build.Final() })
			if o.Status.Build.Reason != "InvalidBuildSpec" ||
				!strings.Contains(o.Status.Build.Message, "belongs to somebody else") {
				return fmt.Errorf("the object says %+v", o.Status.Build)
			}
			return nil
		}},
		{"has a build by the Idempotency-Key of somebody else", func() error {
			var first, second struct{ ID string }
			path := devtest.Builds + "/apps/green/trigger"
			if err := n.ada.CallWithKey(t.Context(), "k", http.MethodPost, path, &first); err != nil {
				return err
			}
			if err := n.mallory.CallWithKey(t.Context(), "k", http.MethodPost, path, &second); err == nil {
				return fmt.Errorf("build %s for %s", second.ID, first.ID)
			}
			return nil
		}},
		{"triggers what it may only read", call(n.rob, 403, http.MethodPost, "/apps/green/trigger")},
		{"cancels what it may only read", call(n.rob, 403, http.MethodDelete, one)},
		{"publishes what it may only read", call(n.rob, 403, http.MethodPost, one+"/publish")},
		{"reads the builds of an application that it has made anew", func() error {
			n.must(n.ada, http.MethodDelete, devtest.AppPath("green"), nil)
			n.must(n.mallory, http.MethodPost, devtest.Apps, application("green", shell(anything(t), makeFirmware)))
			var list []map[string]any
			err := n.mallory.Call(t.Context(), http.MethodGet, devtest.Builds+"/builds?application=green", nil, &list)
			if err != nil || len(list) != 0 {
				return fmt.Errorf("it lists %v: %w", list, err)
			}
			return call(n.mallory, 404, http.MethodGet, one+"/log")()
		}},
		{"publishes what the earlier application left", call(n.mallory, 404, http.MethodPost, one+"/publish")},
	}
	var listed []string
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\d+\. (.*)$`).FindAllSubmatch(page, -1) {
		listed = append(listed, string(bytes.TrimSuffix(m[1], []byte("."))))
	}
	var tested []string
	for _, c := range crossings {
		tested = append(tested, c.name)
		if err := c.cross(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if diff := cmp.Diff(listed, tested); diff != "" {
		t.Errorf("docs/security.md has a different list: %s", diff)
	}
}
