// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/drogue-iot/ajour/config"
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/local/broker"
	"github.com/drogue-iot/ajour/pkg/local/runner"
	"github.com/drogue-iot/ajour/pkg/tekton"
	catalog "github.com/drogue-iot/ajour/tekton"
)

func TestPipelinesTasksAndTriggersAreValid(t *testing.T) {
	t.Parallel()
	if _, err := runner.LoadCatalog(catalog.Files); err != nil {
		t.Error(err)
	}
	triggers, err := broker.LoadTriggers(config.Triggers)
	if err != nil {
		t.Error(err)
	}
	var names []string
	for _, tr := range triggers {
		names = append(names, tr.Name)
	}
	if diff := cmp.Diff([]string{"builder", "status"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestEveryKoImageIsAProgramOfOurs(t *testing.T) {
	t.Parallel()
	found := 0
	for _, root := range []string{"../tekton", "../config"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".yaml") {
				return err
			}
			data, err := os.ReadFile(path)
			for word := range strings.FieldsSeq(string(data)) {
				if image, ok := strings.CutPrefix(word, "ko://"+module); ok {
					found++
					if _, err := os.Stat("../" + image + "/main.go"); err != nil {
						t.Errorf("%s: %s is no program", path, word)
					}
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found == 0 {
		t.Error("no image was looked at")
	}
}

// TestARenderedRunFitsItsPipeline compares parameters and workspaces.
func TestARenderedRunFitsItsPipeline(t *testing.T) {
	t.Parallel()
	for _, layout := range []tekton.Layout{tekton.OnePod, tekton.PodPerTask} {
		for _, destinations := range [][2]string{{"a:1", ""}, {"", "sensor-7"}, {"a:1", "sensor-7"}} {
			t.Run(string(layout)+strings.Join(destinations[:], " "), func(t *testing.T) {
				t.Parallel()
				d := build.Description{Registry: build.OCI, Image: destinations[0], Controller: destinations[1]}
				fits(t, layout, d, nil)
				fits(t, layout, d, &build.Publication{Claim: "pvc-1", Artifact: build.Artifact{Version: "4f1c2ab"}})
			})
		}
		t.Run(string(layout)+" again", func(t *testing.T) {
			t.Parallel()
			fits(
				t, layout, build.Description{Registry: build.OCI, Image: "a:1", Controller: "sensor-7"},
				&build.Publication{Artifact: build.Artifact{Reference: "h/a:1", Digest: "sha256:0"}},
			)
		})
	}
}

func fits(t *testing.T, layout tekton.Layout, d build.Description, publication *build.Publication) {
	t.Helper()
	d.Env, d.Timeout = []build.EnvVar{{Name: "A", Value: "b"}}, build.Duration(time.Hour)
	pr, err := tekton.Render(build.Spec{
		ID: "0190f2a4-6c3b-7a57-8f0e-0242ac120002", Object: build.ObjectRef{Application: "a"}, Requested: time.Now(),
		Description: d, Publication: publication,
	}, tekton.Config{Namespace: "builds", Layout: layout})
	if err != nil {
		t.Fatal(err)
	}
	var p v1.Pipeline
	if pr.Spec.PipelineSpec != nil {
		p.Spec = *pr.Spec.PipelineSpec
		checkSteps(t, pr.Name, &p.Spec.Tasks[0].TaskSpec.TaskSpec)
	} else {
		data, err := catalog.Files.ReadFile("pipelines/" + pr.Spec.PipelineRef.Name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(data, &p); err != nil {
			t.Fatal(err)
		}
	}
	var want, got []string
	for _, param := range p.Spec.Params {
		want = append(want, "param "+param.Name)
	}
	for _, ws := range p.Spec.Workspaces {
		want = append(want, "workspace "+ws.Name)
	}
	for _, param := range pr.Spec.Params {
		got = append(got, "param "+param.Name)
	}
	for _, ws := range pr.Spec.Workspaces {
		got = append(got, "workspace "+ws.Name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, spec := range pr.Spec.TaskRunSpecs {
		if !slices.ContainsFunc(p.Spec.Tasks, func(pt v1.PipelineTask) bool { return pt.Name == spec.PipelineTaskName }) {
			t.Errorf("the pipeline has no task %s", spec.PipelineTaskName)
		}
	}
}

// actions reads the StepActions, by name.
func actions(t *testing.T) map[string]v1beta1.StepAction {
	t.Helper()
	files, err := fs.Glob(catalog.Files, "stepactions/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	found := map[string]v1beta1.StepAction{}
	for _, f := range files {
		data, err := catalog.Files.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var a v1beta1.StepAction
		if err := yaml.UnmarshalStrict(data, &a); err != nil {
			t.Fatal(err)
		}
		found[a.Name] = a
	}
	return found
}

// TestStepsAreIsolated: user strings reach steps as arguments and environment
// only, each kind of credentials reaches the one step that needs it, and the
// environment of a pod cannot change how our programs start.
func TestStepsAreIsolated(t *testing.T) {
	t.Parallel()
	for name, a := range actions(t) {
		if a.Spec.Script != "" || len(a.Spec.Command) > 0 {
			t.Errorf("%s does not run the entrypoint of its image", name)
		}
		ours := strings.HasPrefix(a.Spec.Image, "ko://")
		if mounts := len(a.Spec.VolumeMounts) > 0; mounts != ours {
			t.Errorf("%s mounts volumes: %t", name, mounts)
		}
		if fixed := slices.ContainsFunc(
			a.Spec.Env,
			func(e corev1.EnvVar) bool { return e.Name == "GODEBUG" && e.Value == "" },
		); ours != fixed {
			t.Errorf("%s fixes GODEBUG: %t", name, fixed)
		}
		if a.Spec.SecurityContext == nil || *a.Spec.SecurityContext.AllowPrivilegeEscalation ||
			!*a.Spec.SecurityContext.RunAsNonRoot {
			t.Errorf("%s may have privileges", name)
		}
	}
}

// TestTasksAreMadeOfStepActions, so that both layouts run the same steps.
func TestTasksAreMadeOfStepActions(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(catalog.Files, "tasks/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		data, err := catalog.Files.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var task v1.Task
		if err := yaml.UnmarshalStrict(data, &task); err != nil {
			t.Fatal(err)
		}
		checkSteps(t, f, &task.Spec)
	}
}

// checkSteps makes sure that the steps of a task are StepActions, each with the parameters
// that its action has and with credentials of its own kind.
func checkSteps(t *testing.T, file string, task *v1.TaskSpec) {
	t.Helper()
	known := actions(t)
	for _, s := range task.Steps {
		if s.Ref == nil {
			t.Errorf("%s: step %s is not a StepAction", file, s.Name)
			continue
		}
		a, ok := known[s.Ref.Name]
		if !ok {
			t.Errorf("%s: step %s refers to %s, which does not exist", file, s.Name, s.Ref.Name)
			continue
		}
		checkCredentials(t, file, task.Volumes, s)
		given := map[string]bool{}
		for _, p := range s.Params {
			given[p.Name] = true
		}
		for _, p := range a.Spec.Params {
			if !given[p.Name] && p.Default == nil {
				t.Errorf("%s: step %s lacks %s", file, s.Name, p.Name)
			}
			delete(given, p.Name)
		}
		for name := range given {
			t.Errorf("%s: step %s has no parameter %s", file, s.Name, name)
		}
	}
}

// checkCredentials makes sure that a step gets the credentials of its own kind.
func checkCredentials(t *testing.T, file string, volumes []corev1.Volume, s v1.Step) {
	t.Helper()
	want := map[string]string{
		"fetch-source":    "$(params.git-secret)git.$(params.application)",
		"publish-oci":     "$(params.registry-secret)registry.$(params.application)",
		"pull-artifact":   "$(params.registry-secret)registry.$(params.application)",
		"publish-hawkbit": "$(params.hawkbit-secret)hawkbit.$(params.application)",
	}[s.Ref.Name]
	got := ""
	for _, p := range s.Params {
		for _, v := range volumes {
			if v.Secret != nil && v.Name == p.Value.StringVal {
				got += v.Secret.SecretName
			}
		}
	}
	if got != want {
		t.Errorf("%s: step %s gets %q, want %q", file, s.Name, got, want)
	}
}
