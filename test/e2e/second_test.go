// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/drogue-iot/ajour/test/devtest"
)

// TestTwoInstallationsSideBySide installs the sample of a second one beside the first, and builds by
// it: there, and there alone.
func TestTwoInstallationsSideBySide(t *testing.T) {
	t.Parallel()
	installSecond(t)
	w := start(t)
	w.API = "http://api.blue.svc.cluster.local"
	awaitService(t, w.API)
	app := name(t)
	path := w.create(app, "", shell(t, makeFirmware, func(b map[string]any) { b["triggers"] = []string{"manual"} }))
	id := w.trigger("/apps/" + app)
	b := w.await(path, id).Status.Build
	registry, _, _ := strings.Cut(images, "/")
	if b.Reason != "Succeeded" || b.Artifact == nil || b.Artifact.Reference != registry+"/blue/"+app+":latest" {
		t.Errorf("%+v %+v", b, b.Artifact)
	}
	for namespace, want := range map[string]int{"blue-builds": 1, builds: 0} {
		out, err := kubectl(
			t.Context(),
			"",
			"--namespace="+namespace,
			"get",
			"pipelineruns",
			"--selector=ajour.drogue.io/build="+id,
			"--output=name",
		)
		if err != nil || len(strings.Fields(out)) != want {
			t.Errorf("in %s: %v %q", namespace, err, out)
		}
	}
	w.API = api
	var refused *devtest.StatusError
	if err := w.Call(
		t.Context(),
		http.MethodGet,
		devtest.Builds+"/builds/"+id,
		nil,
		nil,
	); !errors.As(err, &refused) ||
		refused.Status != http.StatusNotFound {
		t.Errorf("the first installation shows a build of the second one: %v", err)
	}
	for _, act := range [][2]string{{"create", "pipelineruns.tekton.dev"}, {"list", "pipelineruns.tekton.dev"}, {"get", "secrets"}} {
		if _, err := kubectl(
			t.Context(), "", "auth", "can-i", "--as=system:serviceaccount:blue:builder", "--namespace="+builds, act[0], act[1],
		); err == nil {
			t.Errorf("the builder of the second installation may %v in the first one", act)
		}
	}
	// Only events are posted to the status service: the broker of the first one hands them on.
	metrics, err := kubectl(
		t.Context(), "", "get", "--raw", "/api/v1/namespaces/blue/pods/"+podOf(t, "blue", "status")+":9090/proxy/metrics",
	)
	posted := regexp.MustCompile(
		`http_server_request_duration_seconds_count\{[^}]*http_request_method="POST"[^}]*\} [1-9]`,
	)
	if err != nil || !posted.MatchString(metrics) {
		t.Errorf("no event of Tekton came: %v\n%s", err, metrics)
	}
}

// installSecond applies the sample, with the images of the first installation.
func installSecond(t *testing.T) {
	t.Helper()
	remove := func(ctx context.Context) {
		for _, args := range [][]string{
			{"delete", "--ignore-not-found", "--filename=../../config/samples/second-installation/forward.yaml"},
			{"delete", "--ignore-not-found", "validatingadmissionpolicybinding,validatingadmissionpolicy", "blue-builds", "blue-builds-archive"},
			{"delete", "--ignore-not-found", "namespace", "blue", "blue-builds"},
		} {
			if _, err := kubectl(ctx, "", args...); err != nil {
				t.Error(err)
			}
		}
	}
	remove(t.Context()) // of an earlier run that was cut off
	t.Cleanup(func() { remove(context.WithoutCancel(t.Context())) })
	manifests, err := kubectl(t.Context(), "", "kustomize", "second")
	if err != nil {
		t.Fatal(err)
	}
	replace := []string{"10.0.2.1:5000", strings.Split(images, "/")[0]}
	for image, at := range map[string][]string{
		"api": {"ajour", "deployment/api"}, "builder": {"ajour", "deployment/builder"}, "status": {"ajour", "deployment/status"},
		"registry-source": {"ajour", "deployment/registry-source"},
		"fetch":           {builds, "stepaction/fetch-source"}, "publish": {builds, "stepaction/publish-oci"},
	} {
		field := "{.spec.image}"
		if at[0] == "ajour" {
			field = "{.spec.template.spec.containers[0].image}"
		}
		out, err := kubectl(t.Context(), "", "--namespace="+at[0], "get", at[1], "--output=jsonpath="+field)
		if err != nil {
			t.Fatal(err)
		}
		replace = append(replace, "ko://github.com/drogue-iot/ajour/cmd/"+image, out)
	}
	if _, err := kubectl(
		t.Context(),
		strings.NewReplacer(replace...).Replace(manifests),
		"apply",
		"--filename=-",
	); err != nil {
		t.Fatal(err)
	}
	if _, err := kubectl(
		t.Context(),
		"",
		"apply",
		"--filename=../../config/samples/second-installation/forward.yaml",
	); err != nil {
		t.Fatal(err)
	}
	for _, ready := range [][]string{
		{"--namespace=blue", "wait", "--for=condition=Ready", "--timeout=3m", "broker,trigger,sinkbinding", "--all"},
		{"--namespace=ajour", "wait", "--for=condition=Ready", "--timeout=3m", "trigger/tekton-events-of-blue"},
		{"--namespace=blue", "rollout", "status", "--timeout=3m", "deployment/api"},
		{"--namespace=blue", "rollout", "status", "--timeout=3m", "deployment/builder"},
		{"--namespace=blue", "rollout", "status", "--timeout=3m", "deployment/status"},
	} {
		if _, err := kubectl(t.Context(), "", ready...); err != nil {
			t.Fatal(err)
		}
	}
}
