// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

// createInPods makes the run of an object's build with a pod for each task, as a
// builder with BUILD_LAYOUT=tasks and the registry of this URL does, and returns the id
// of the build.
func createInPods(t *testing.T, w *world, app, path, registry string) string {
	t.Helper()
	scheme, host, _ := strings.Cut(registry, "://")
	var object struct {
		Spec struct{ Firmware json.RawMessage }
	}
	if err := w.Call(t.Context(), http.MethodGet, path, nil, &object); err != nil {
		t.Fatal(err)
	}
	d, err := build.Parse(object.Spec.Firmware)
	if err != nil {
		t.Fatal(err)
	}
	id := uuid.Must(uuid.NewV7()).String()
	run, err := tekton.Render(build.Request{
		ID: id, Target: build.Target{Application: app}, Description: d, DescriptionHash: d.Hash(), Requester: "e2e", Trigger: build.TriggerAPI, Time: time.Now(),
	}, tekton.Config{
		Namespace: builds, RegistryPrefix: host + "/firmware/", PlainHTTP: scheme == "http", ServiceAccount: "ajour-build", Layout: tekton.PodPerTask,
		Sources: tekton.Sources{Schemes: "https,http", Addresses: "10.96.0.0/16"},
	})
	if err != nil {
		t.Fatal(err)
	}
	run.APIVersion, run.Kind = "tekton.dev/v1", "PipelineRun"
	manifest, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kubectl(t.Context(), string(manifest), "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	return id
}
