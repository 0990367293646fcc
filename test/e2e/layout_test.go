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
	run, err := tekton.Render(build.Spec{
		ID:          id,
		Object:      build.ObjectRef{Application: app},
		Description: d,
		Hash:        d.Hash(),
		Requester:   "e2e",
		Cause:       build.CauseAPI,
		Requested:   time.Now(),
	}, tekton.Config{
		Namespace:      builds,
		RegistryPrefix: host + "/firmware/",
		PlainHTTP:      scheme == "http",
		ServiceAccount: "ajour-build",
		Layout:         tekton.PodPerTask,
		Sources:        tekton.Sources{Schemes: "https,http", Addresses: "10.96.0.0/16"},
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

// TestEveryCombinationIsAdmitted sends each kind of run through Tekton's webhook, without
// creating it.
func TestEveryCombinationIsAdmitted(t *testing.T) {
	t.Parallel()
	publications := map[string]*build.Publication{
		"":         nil,
		"retained": {Build: "earlier", Claim: "pvc-1", Artifact: build.Artifact{Version: "4f1c2ab"}},
		"pulled":   {Build: "earlier", Artifact: build.Artifact{Reference: "h/a:1", Digest: "sha256:1", Version: "4f1c2ab"}},
	}
	for _, layout := range []tekton.Layout{tekton.OnePod, tekton.PodPerTask} {
		for _, destinations := range [][2]string{{"a:1", ""}, {"", "sensor-7"}, {"a:1", "sensor-7"}} {
			for name, p := range publications {
				run, err := tekton.Render(build.Spec{
					ID:          uuid.NewString(),
					Object:      build.ObjectRef{Application: "a"},
					Requested:   time.Now(),
					Publication: p,
					Description: build.Description{
						Registry: build.OCI, Image: destinations[0], Controller: destinations[1], Builder: "b", Artifact: "f",
						Source: build.Source{URI: "https://h/r", Path: "."}, Args: []string{"--release", "$HOME"},
						Env: []build.EnvVar{{Name: "A", Value: "b"}}, Timeout: build.Duration(time.Hour),
					},
				}, tekton.Config{Namespace: builds, Layout: layout})
				if err != nil {
					t.Fatal(err)
				}
				run.APIVersion, run.Kind = "tekton.dev/v1", "PipelineRun"
				manifest, err := json.Marshal(run)
				if err != nil {
					t.Fatal(err)
				}
				if out, err := kubectl(t.Context(), string(manifest), "create", "--dry-run=server", "-f", "-"); err != nil {
					t.Errorf("%s %v %s: %v %s", layout, destinations, name, err, out)
				}
			}
		}
	}
}
