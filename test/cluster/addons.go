// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed" // for kafkaSource
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// addon is a module whose config folder is applied.
type addon struct {
	module  string
	folders []string
}

var addons = []addon{
	{"github.com/tektoncd/pipeline", []string{"."}},
	{"knative.dev/eventing", []string{"core", "channels/in-memory-channel", "brokers/mt-channel-broker"}},
	// Of Knative Serving, what manifests are checked by: it needs an ingress to run.
	{"knative.dev/serving", []string{"core"}},
}

// deployments are the ones that are used. Each of the others would cost an image
// and memory, and delay the start.
var deployments = []string{
	"tekton-pipelines-controller", "tekton-events-controller", "tekton-pipelines-webhook",
	"eventing-controller", "eventing-webhook", "imc-controller", "imc-dispatcher",
	"mt-broker-controller", "mt-broker-filter", "mt-broker-ingress",
	"webhook", // of Serving
}

// unused are kinds that no part that runs here needs, or that have no definition.
var unused = []string{"", "HorizontalPodAutoscaler", "PodDisruptionBudget", "StatefulSet", "Image", "Certificate"}

//go:embed kafkasource.yaml
var kafkaSource string

// replacements are images that are named, but never run here, or that come from
// a registry that cannot be reached.
var replacements = strings.NewReplacer(
	"cgr.dev/chainguard/busybox@sha256:19f02276bf8dbdd62f069b922f10c65262cc34b710eea26ff928129a736be791",
	registryAddress+"/busybox:latest",
	"ko://knative.dev/eventing/cmd/apiserver_receive_adapter",
	"unused",
	"ko://knative.dev/eventing/cmd/auth_proxy",
	"unused",
)

// resolveAddons builds the images of Tekton and Knative with ko, and writes their
// manifests to the folder: definitions, and everything else.
func resolveAddons(ctx context.Context, l layout, s *sandbox, dir string) error {
	var crds, rest []*unstructured.Unstructured
	for _, a := range addons {
		objects, err := a.objects(ctx)
		if err != nil {
			return fmt.Errorf("read manifests of %s: %w", a.module, err)
		}
		for _, o := range objects {
			if kind := o.GetKind(); kind == "CustomResourceDefinition" || kind == "Namespace" {
				crds = append(crds, o)
			} else {
				rest = append(rest, o)
			}
		}
	}
	crds, err := appendUsed(crds, kafkaSource)
	if err != nil {
		return err
	}
	rest = append(rest, unusedImages(rest)...)
	if err := write(filepath.Join(dir, "crds.yaml"), crds); err != nil {
		return err
	}
	template := filepath.Join(dir, "addons.in.yaml")
	if err := write(template, rest); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, l.bin("ko"), "resolve", "--insecure-registry", "-B", "--sbom=none", "-f", template)
	cmd.Dir = toolsDir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "KO_CONFIG_PATH=ko.yaml", "KO_DOCKER_REPO="+registryAddress+"/addons",
		fmt.Sprintf("HTTP_PROXY=http://127.0.0.1:%d", s.port))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("ko resolve: %w: %s", err, tail([]byte(stderr.String())))
	}
	return os.WriteFile(filepath.Join(dir, "addons.yaml"), out, 0o644)
}

// objects reads all manifests of an addon that are used.
func (a addon) objects(ctx context.Context) ([]*unstructured.Unstructured, error) {
	// What was compiled so far need not have brought this module.
	out, err := exec.CommandContext(ctx, "go", "mod", "download", "-C", toolsDir, "-json", a.module).Output()
	var module struct{ Dir string }
	if err := errors.Join(err, json.Unmarshal(out, &module)); err != nil {
		return nil, fmt.Errorf("find module: %w", err)
	}
	var objects []*unstructured.Unstructured
	for _, folder := range a.folders {
		dir := filepath.Join(module.Dir, "config", folder)
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				if d != nil && d.Name() == "resolvers" { // remote resolution is not used
					return filepath.SkipDir
				}
				return err
			}
			if filepath.Ext(path) != ".yaml" {
				return nil
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			objects, err = appendUsed(objects, replacements.Replace(string(data)))
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// appendUsed reads a file's documents.
func appendUsed(objects []*unstructured.Unstructured, file string) ([]*unstructured.Unstructured, error) {
	for doc := range strings.SplitSeq("\n"+file, "\n---") {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &o.Object); err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		switch kind := o.GetKind(); {
		case slices.Contains(unused, kind):
		case kind == "Deployment" && !slices.Contains(deployments, o.GetName()):
		default:
			unreserve(o)
			objects = append(objects, o)
		}
	}
	return objects, nil
}

// unreserve removes what a Deployment reserves: two cores are few.
func unreserve(o *unstructured.Unstructured) {
	containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
	for _, c := range containers {
		if c, ok := c.(map[string]any); ok {
			unstructured.RemoveNestedField(c, "resources", "requests")
		}
	}
	if len(containers) > 0 {
		_ = unstructured.SetNestedSlice(
			o.Object, containers, "spec", "template", "spec", "containers",
		) // it was read from there
	}
}

// unusedImages makes the ConfigMaps that the controller of Knative wants and no
// manifest holds: images of sources and sinks that nobody uses here.
func unusedImages(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	maps := map[string]map[string]any{}
	for _, o := range objects {
		if o.GetName() != "eventing-controller" || o.GetKind() != "Deployment" {
			continue
		}
		data, err := json.Marshal(o.Object["spec"])
		if err != nil {
			continue
		}
		var spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Env []struct {
							ValueFrom struct {
								ConfigMapKeyRef struct{ Name, Key string }
							}
						}
					}
				}
			}
		}
		if json.Unmarshal(data, &spec) != nil {
			continue
		}
		for _, c := range spec.Template.Spec.Containers {
			for _, e := range c.Env {
				if ref := e.ValueFrom.ConfigMapKeyRef; ref.Name != "" {
					if maps[ref.Name] == nil {
						maps[ref.Name] = map[string]any{}
					}
					maps[ref.Name][ref.Key] = "unused"
				}
			}
		}
	}
	var list []*unstructured.Unstructured
	for name, data := range maps {
		list = append(list, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1",
			"kind":       "ConfigMap",
			"metadata":   map[string]any{"name": name, "namespace": "knative-eventing"},
			"data":       data,
		}})
	}
	return list
}

func write(file string, objects []*unstructured.Unstructured) error {
	var out strings.Builder
	for _, o := range objects {
		data, err := yaml.Marshal(o.Object)
		if err != nil {
			return fmt.Errorf("write manifest: %w", err)
		}
		out.WriteString("---\n" + string(data))
	}
	return os.WriteFile(file, []byte(out.String()), 0o644)
}
