// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file below testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (run the test with -update if this is right): %s", file, diff)
	}
}

// combination is a way in which a run can be composed.
type combination struct {
	name   string
	spec   build.Spec
	layout tekton.Layout
}

// combinations returns all of them: layouts, destinations, and what is republished.
func combinations() (all []combination) {
	for _, layout := range []tekton.Layout{tekton.OnePod, tekton.PodPerTask} {
		for name, destinations := range map[string][2]string{"oci": {"greenhouse:4f1c2ab", ""}, "hawkbit": {"", "sensor-7"}, "oci-hawkbit": {"greenhouse:4f1c2ab", "sensor-7"}} {
			s := spec()
			s.Description.Image, s.Description.Controller = destinations[0], destinations[1]
			all = append(all, combination{string(layout) + "-" + name, s, layout})
			s.Cause = build.CausePublish
			s.Publication = &build.Publication{
				Build:    "earlier",
				Commit:   "4f1c2abx",
				Claim:    "pvc-1",
				Artifact: build.Artifact{Version: "4f1c2ab"},
			}
			all = append(all, combination{string(layout) + "-" + name + "-retained", s, layout})
		}
		s := spec()
		s.Description.Controller, s.Cause = "sensor-7", build.CausePublish
		s.Publication = &build.Publication{
			Build:    "earlier",
			Commit:   "4f1c2abx",
			Artifact: build.Artifact{Reference: "quay.io/acme/greenhouse:4f1c2ab", Digest: "sha256:1", Version: "4f1c2ab"},
		}
		all = append(all, combination{string(layout) + "-hawkbit-pulled", s, layout})
	}
	return all
}

func TestRender(t *testing.T) {
	t.Parallel()
	for _, c := range combinations() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pr, err := tekton.Render(c.spec, tekton.Config{
				Namespace: "builds", RegistryPrefix: "quay.io/acme/", Layout: c.layout, ServiceAccount: "ajour-build",
				Sources: tekton.Sources{Schemes: "https", Hosts: "h", Addresses: "public"},
			})
			if err != nil {
				t.Fatal(err)
			}
			pr.SetDefaults(t.Context())
			if err := pr.Validate(t.Context()); err != nil {
				t.Error(err)
			}
			for _, template := range pr.Spec.TaskRunSpecs {
				if *template.PodTemplate.AutomountServiceAccountToken ||
					*pr.Spec.TaskRunTemplate.PodTemplate.AutomountServiceAccountToken {
					t.Error("pods get a token of the API")
				}
			}
			text, err := yaml.Marshal(pr)
			if err != nil {
				t.Fatal(err)
			}
			if pr.Spec.PipelineSpec != nil {
				for _, r := range pr.Spec.PipelineSpec.Results {
					if strings.ToUpper(r.Name) == r.Name {
						t.Errorf("the result %s is a hint for provenance, which a builder can forge", r.Name)
					}
				}
				composed, err := yaml.Marshal(pr.Spec.PipelineSpec)
				if err != nil {
					t.Fatal(err)
				}
				for _, user := range []string{"https://h/r", "rust:1", "out/fw.bin", "--release", "BOARD", "greenhouse"} {
					if strings.Contains(string(composed), user) {
						t.Errorf("the pipeline contains %q, which a user wrote", user)
					}
				}
			}
			golden(t, c.name+".yaml", text)
		})
	}
}

// TestTheSecretsOfARunFollowFromItsApplication, and from nothing that a user writes.
func TestTheSecretsOfARunFollowFromItsApplication(t *testing.T) {
	t.Parallel()
	for credentials, want := range map[tekton.Credentials]map[string]string{
		tekton.Shared: {
			"git-secret": "git-credentials", "registry-secret": "container-registry", "hawkbit-secret": "hawkbit-config",
			"application": "greenhouse",
		},
		tekton.OwnCredentials: {
			"git-secret": "git.greenhouse", "registry-secret": "registry.greenhouse", "hawkbit-secret": "hawkbit.greenhouse",
			"application": "greenhouse",
		},
	} {
		for _, layout := range []tekton.Layout{tekton.OnePod, tekton.PodPerTask} {
			s := spec()
			s.Description.Image, s.Description.Controller = "greenhouse:1", "greenhouse"
			pr, err := tekton.Render(s, tekton.Config{Namespace: "builds", Layout: layout, Credentials: credentials})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, p := range pr.Spec.Params {
				if _, ok := want[p.Name]; ok {
					got[p.Name] = p.Value.StringVal
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(credentials, layout, diff)
			}
		}
	}
	if err := (tekton.Config{RegistryPrefix: "quay.io/acme/", Credentials: "own"}).Validate(); err == nil {
		t.Error("credentials of an unknown make are taken")
	}
}

func TestTheBuilderHasTheResourcesOfTheInstallation(t *testing.T) {
	t.Parallel()
	pr, err := tekton.Render(spec(), tekton.Config{
		Namespace: "builds", Layout: tekton.OnePod,
		Requests: map[string]string{"cpu": "2"}, Limits: map[string]string{"memory": "8Gi", "example.org/flash": "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range pr.Spec.PipelineSpec.Tasks[0].TaskSpec.Steps {
		if s.Name == "build" {
			for name, q := range s.ComputeResources.Requests {
				got = append(got, "request "+string(name)+" "+q.String())
			}
			for name, q := range s.ComputeResources.Limits {
				got = append(got, "limit "+string(name)+" "+q.String())
			}
		}
	}
	slices.Sort(got)
	want := []string{
		"limit ephemeral-storage 8Gi", "limit example.org/flash 1", "limit memory 8Gi",
		"request cpu 2", "request ephemeral-storage 256Mi", "request memory 512Mi",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAConfigurationThatCannotBeRenderedIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		c    tekton.Config
		want string
	}{
		{"a layout that there is not", tekton.Config{Layout: "vm"}, `layout "vm" is neither "pod" nor "tasks"`},
		{"a size that is none", tekton.Config{Storage: "big"}, `read size of workspace "big"`},
		{"a quantity that is none", tekton.Config{Limits: map[string]string{"memory": "8GB!"}}, `memory: "8GB!"`},
		{"an unknown resource", tekton.Config{Requests: map[string]string{"mem": "8Gi"}}, `no resource "mem"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.c.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want ...%s...", err, tt.want)
			}
		})
	}
}

// TestArgumentsAreInARunOnce: a run of every layout has its whole description, and so has one
// of a version that had all of it in an annotation.
func TestArgumentsAreInARunOnce(t *testing.T) {
	t.Parallel()
	s := spec()
	s.Description.Args = []string{"--long=" + strings.Repeat("x", 8<<10)}
	for _, layout := range []tekton.Layout{tekton.OnePod, tekton.PodPerTask} {
		pr, err := tekton.Render(s, tekton.Config{Namespace: "builds", Layout: layout})
		if err != nil {
			t.Fatal(err)
		}
		whole, err := json.Marshal(pr)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(whole), s.Description.Args[0]); n != 1 {
			t.Errorf("%s: the argument is there %d times", layout, n)
		}
		for _, annotation := range []any{nil, s.Description} {
			if annotation != nil {
				text, _ := json.Marshal(annotation)
				pr.Annotations["ajour.drogue.io/description"] = string(text)
			}
			got, _ := tekton.Observe(pr, nil)
			if diff := cmp.Diff(s.Description, got.Description); diff != "" {
				t.Errorf("%s: %s", layout, diff)
			}
		}
	}
}

// TestARunOfAPushFetchesItsCommit, and shows it before it has: the branch may have moved since.
func TestARunOfAPushFetchesItsCommit(t *testing.T) {
	t.Parallel()
	s := spec()
	s.Revision, s.Cause = strings.Repeat("a", 40), build.CausePush
	for _, layout := range []tekton.Layout{tekton.OnePod, tekton.PodPerTask} {
		pr, err := tekton.Render(s, tekton.Config{Namespace: "builds", Layout: layout})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pr.Spec.Params {
			if p.Name == "revision" && p.Value.StringVal != s.Revision {
				t.Errorf("fetches %s", p.Value.StringVal)
			}
		}
		r, ours := tekton.Observe(pr, nil)
		if !ours || r.Commit != s.Revision || r.Cause != build.CausePush ||
			r.Description.Source.Rev != s.Description.Source.Rev {
			t.Errorf("%+v", r)
		}
		pr.Annotations["ajour.drogue.io/revision"] = "somebody wrote this"
		if r, _ := tekton.Observe(pr, nil); r.Commit != "" {
			t.Error(r.Commit)
		}
	}
}
