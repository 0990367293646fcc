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
			line += fmt.Sprintf("%s/%s %t", ref.SecretKeyRef.Name, ref.SecretKeyRef.Key, *ref.SecretKeyRef.Optional)
		}
		lines = append(lines, line)
	}
	return lines
}

// TestEveryStepFindsTheProxies, by names that no description sets; the builder by those that tools
// read, but for what the description sets.
func TestEveryStepFindsTheProxies(t *testing.T) {
	t.Parallel()
	s := spec()
	s.Description.Env = []build.EnvVar{{Name: "https_proxy", Value: "mine"}}
	for name, tt := range map[string]struct {
		proxies        tekton.Proxies
		steps, builder []string
	}{
		"none": {builder: []string{"https_proxy=mine"}},
		"variables": {
			tekton.Proxies{HTTPS: "http://h:1", HTTP: "http://h:2"},
			[]string{"AJOUR_HTTPS_PROXY=http://h:1", "AJOUR_HTTP_PROXY=http://h:2"},
			[]string{"https_proxy=mine", "HTTP_PROXY=http://h:2", "http_proxy=http://h:2"},
		},
		"a Secret": {
			tekton.Proxies{FromSecret: true},
			[]string{
				"AJOUR_HTTPS_PROXY=proxy/https-proxy true", "AJOUR_HTTP_PROXY=proxy/http-proxy true",
				"AJOUR_NO_PROXY=proxy/no-proxy true",
			},
			[]string{
				"https_proxy=mine", "HTTP_PROXY=proxy/http-proxy true", "http_proxy=proxy/http-proxy true",
				"NO_PROXY=proxy/no-proxy true", "no_proxy=proxy/no-proxy true",
			},
		},
	} {
		pr, err := tekton.Render(s, tekton.Config{Namespace: "builds", Layout: tekton.OnePod, Proxies: tt.proxies})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.steps, variables(pr.Spec.TaskRunTemplate.PodTemplate.Env)); diff != "" {
			t.Error(name, diff)
		}
		if diff := cmp.Diff(tt.builder, variables(pr.Spec.TaskRunSpecs[0].PodTemplate.Env)); diff != "" {
			t.Error(name, diff)
		}
	}
}

func TestProxiesThatDoNotFitTheRestAreRefused(t *testing.T) {
	t.Parallel()
	anywhere := tekton.Sources{Addresses: "any"}
	for _, c := range []tekton.Config{
		{},
		{Proxies: tekton.Proxies{HTTPS: "http://h:1"}, Sources: anywhere},
		{Proxies: tekton.Proxies{FromSecret: true}, Sources: anywhere},
		{Proxies: tekton.Proxies{No: "h"}},
	} {
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c.Proxies, err)
		}
	}
	for _, c := range []tekton.Config{
		{Proxies: tekton.Proxies{HTTPS: "http://h:1"}, Sources: tekton.Sources{Addresses: "public"}},
		{Proxies: tekton.Proxies{FromSecret: true}, Sources: tekton.Sources{Addresses: "public"}},
		{Proxies: tekton.Proxies{HTTPS: "http://u:p@h:1"}, Sources: anywhere},
		{Proxies: tekton.Proxies{FromSecret: true, No: "h"}, Sources: anywhere},
		{Proxies: tekton.Proxies{HTTP: "h:1"}, Sources: anywhere},
	} {
		if err := c.Validate(); err == nil {
			t.Errorf("%+v is taken", c.Proxies)
		}
	}
}
