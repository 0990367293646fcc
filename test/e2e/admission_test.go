// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

type tree = map[string]any

// at returns what is at a path of names and indexes below an object.
func at(t *testing.T, v any, path ...any) tree {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			v = v.(tree)[p]
		case int:
			v = v.([]any)[p]
		}
	}
	found, ok := v.(tree)
	if !ok {
		t.Fatalf("there is no object at %v", path)
	}
	return found
}

// TestTheBuilderCreatesRunsOfOurShapeOnly: whoever takes over its account can do no more. Every way
// to compose a run is admitted.
func TestTheBuilderCreatesRunsOfOurShapeOnly(t *testing.T) {
	t.Parallel()
	const app, taskSpec = "e2e-admission", "taskSpec"
	render := func(layout tekton.Layout, credentials tekton.Credentials, d build.Description, p *build.Publication) tree {
		t.Helper()
		d.Builder, d.Artifact, d.Timeout = images+"/shell:latest", "f", build.Duration(time.Minute)
		d.Source, d.Env = build.Source{URI: "https://h/r", Path: "."}, []build.EnvVar{{Name: "A", Value: "b"}}
		d.Secrets = []build.SecretVar{{Name: "B", Key: "b"}}
		run, err := tekton.Render(build.Spec{
			ID: uuid.Must(
				uuid.NewV7(),
			).String(),
			Object:      build.ObjectRef{Application: app, Device: "x"},
			Description: d,
			Hash:        "h",
			Cause:       build.CauseAPI,
			Requested:   time.Now(),
			Publication: p,
		}, tekton.Config{
			Namespace: builds, ServiceAccount: "ajour-build", Layout: layout, Credentials: credentials, Proxies: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		run.APIVersion, run.Kind = "tekton.dev/v1", "PipelineRun"
		data, err := json.Marshal(run)
		if err != nil {
			t.Fatal(err)
		}
		var object tree
		if err := json.Unmarshal(data, &object); err != nil {
			t.Fatal(err)
		}
		return object
	}
	create := func(object tree) error {
		data, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		_, err = kubectl(
			t.Context(), string(data), "--as=system:serviceaccount:ajour:builder", "create", "--dry-run=server", "-f", "-",
		)
		return err
	}
	both := build.Description{Registry: build.OCI, Image: app + ":1", Controller: app}
	for _, layout := range []tekton.Layout{tekton.OnePod, tekton.PodPerTask} {
		for _, credentials := range []tekton.Credentials{tekton.Shared, tekton.OwnCredentials} {
			for _, d := range []build.Description{
				both, {Registry: build.OCI, Image: app + ":1"}, {Registry: build.Hawkbit, Controller: app},
			} {
				if err := create(render(layout, credentials, d, nil)); err != nil {
					t.Errorf("%s, %s: %v", layout, credentials, err)
				}
			}
			retained := &build.Publication{Build: "x", Claim: "pvc-1", Artifact: build.Artifact{Version: "1"}}
			pulled := &build.Publication{
				Build:    "x",
				Artifact: build.Artifact{Reference: "h/a:1", Digest: "sha256:0", Version: "1"},
			}
			for _, p := range []*build.Publication{retained, pulled} {
				if err := create(render(layout, credentials, both, p)); err != nil {
					t.Errorf("%s, %s, %+v: %v", layout, credentials, p, err)
				}
			}
		}
	}
	param := func(object tree, name, value string) {
		for _, p := range at(t, object, "spec")["params"].([]any) {
			if p.(tree)["name"] == name {
				p.(tree)["value"] = value
			}
		}
	}
	for name, tt := range map[string]struct {
		change func(object tree)
		says   string
	}{
		"mounts a different Secret": {func(o tree) {
			at(t, o, "spec", "pipelineSpec", "tasks", 0, taskSpec, "volumes", 0, "secret")["secretName"] = "git.of-somebody-else"
		}, "mounts the Secrets of its steps"},
		"names the credentials of somebody else": {
			func(o tree) { param(o, "git-secret", "git.of-somebody-else") }, "those of its application",
		},
		"is of a different application than it says": {
			func(o tree) { param(o, "application", "of-somebody-else") }, "those of its application",
		},
		"runs a program beside the credentials": {func(o tree) {
			s := at(t, o, "spec", "pipelineSpec", "tasks", 0, taskSpec, "steps", 0)
			delete(s, "ref")
			delete(s, "params")
			s["image"], s["script"] = images+"/shell:latest", "cat /credentials/*"
		}, "are our StepActions"},
		"has a sidecar": {func(o tree) {
			at(t, o, "spec", "pipelineSpec", "tasks", 0, taskSpec)["sidecars"] = []any{tree{"name": "x", "image": "x"}}
		}, "are our StepActions"},
		"has a volume of the pod": {func(o tree) {
			at(t, o, "spec", "taskRunTemplate", "podTemplate")["volumes"] = []any{tree{"name": "x", "secret": tree{"secretName": "x"}}}
		}, "have no volumes"},
		"has the variables of somebody else": {func(o tree) {
			from := tree{"secretKeyRef": tree{"name": "env.of-somebody-else", "key": "x"}}
			at(t, o, "spec", "taskRunSpecs", 0, "podTemplate")["env"] = []any{tree{"name": "X", "valueFrom": from}}
		}, "no Secret in their environment"},
		"has a proxy of its own for our steps": {func(o tree) {
			at(t, o, "spec", "taskRunTemplate", "podTemplate")["env"] = []any{tree{"name": "AJOUR_HTTP_PROXY", "value": "http://x"}}
		}, "no Secret in their environment"},
		"has a proxy for our steps from its variables": {func(o tree) {
			from := tree{"secretKeyRef": tree{"name": "env." + app, "key": "x"}}
			at(t, o, "spec", "taskRunTemplate", "podTemplate")["env"] = []any{tree{"name": "AJOUR_HTTP_PROXY", "valueFrom": from}}
		}, "no Secret in their environment"},
		"has a variable from a ConfigMap": {func(o tree) {
			from := tree{"configMapKeyRef": tree{"name": "x", "key": "x"}}
			at(t, o, "spec", "taskRunSpecs", 0, "podTemplate")["env"] = []any{tree{"name": "X", "valueFrom": from}}
		}, "no Secret in their environment"},
		"has a task at the end": {func(o tree) {
			step := tree{"name": "x", "image": "x", "script": "cat /s/*"}
			at(t, o, "spec", "pipelineSpec")["finally"] = []any{tree{"name": "x", "taskSpec": tree{"steps": []any{step}}}}
		}, "are our StepActions"},
		"gives its task a different parameter than it has": {func(o tree) {
			for _, p := range at(t, o, "spec", "pipelineSpec", "tasks", 0)["params"].([]any) {
				if p.(tree)["name"] == "git-secret" {
					p.(tree)["value"] = "git.of-somebody-else"
				}
			}
		}, "takes its parameters from the run"},
		"has a default in place of a parameter": {func(o tree) {
			for _, p := range at(t, o, "spec", "pipelineSpec")["params"].([]any) {
				if p.(tree)["name"] == "git-secret" {
					p.(tree)["default"] = "git.of-somebody-else"
				}
			}
		}, "takes its parameters from the run"},
		"has a workspace that is a Secret": {func(o tree) {
			at(t, o, "spec")["workspaces"] = []any{tree{"name": "source", "secret": tree{"secretName": "x"}}}
		}, "is a volume claim"},
		"has a different account": {func(o tree) {
			at(t, o, "spec", "taskRunTemplate")["serviceAccountName"] = "default"
		}, "ServiceAccount ajour-build"},
		"is not labelled": {func(o tree) { delete(at(t, o, "metadata"), "labels") }, "managed-by=ajour"},
		"refers to a different Pipeline": {func(o tree) {
			delete(at(t, o, "spec"), "pipelineSpec")
			at(t, o, "spec")["pipelineRef"] = tree{"name": "of-somebody-else"}
		}, "one of the installed Pipelines"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := render(tekton.OnePod, tekton.Shared, both, nil)
			tt.change(object)
			if err := create(object); err == nil || !strings.Contains(fmt.Sprint(err), tt.says) {
				t.Errorf("it is %v", err)
			}
		})
	}
}
