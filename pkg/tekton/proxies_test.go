// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

// variables are those of a pod, as lines.
func variables(env []corev1.EnvVar) (lines []string) {
	for _, e := range env {
		line := e.Name + "=" + e.Value
		if ref := e.ValueFrom; ref != nil {
			line += fmt.Sprintf("%s/%s", ref.SecretKeyRef.Name, ref.SecretKeyRef.Key)
			if ref.SecretKeyRef.Optional != nil && *ref.SecretKeyRef.Optional {
				line += " if any"
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// TestEveryStepFindsTheProxies, by names that no description sets; the builder by those that tools
// read, but for what the description sets. Without the Secret no step starts: none goes out directly.
func TestEveryStepFindsTheProxies(t *testing.T) {
	t.Parallel()
	s := spec()
	s.Description.Env = []build.EnvVar{{Name: "http_proxy", Value: "mine"}}
	for proxies, want := range map[bool][2][]string{
		false: {nil, {"http_proxy=mine"}},
		true: {
			{
				"AJOUR_HTTPS_PROXY=proxy/https-proxy", "AJOUR_HTTP_PROXY=proxy/http-proxy if any",
				"AJOUR_NO_PROXY=proxy/no-proxy if any",
			},
			{
				"http_proxy=mine", "HTTPS_PROXY=proxy/https-proxy", "https_proxy=proxy/https-proxy",
				"NO_PROXY=proxy/no-proxy if any", "no_proxy=proxy/no-proxy if any",
			},
		},
	} {
		pr, err := tekton.Render(s, tekton.Config{Namespace: "builds", Layout: tekton.OnePod, Proxies: proxies})
		if err != nil {
			t.Fatal(err)
		}
		got := [2][]string{
			variables(pr.Spec.TaskRunTemplate.PodTemplate.Env), variables(pr.Spec.TaskRunSpecs[0].PodTemplate.Env),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(proxies, diff)
		}
	}
}
