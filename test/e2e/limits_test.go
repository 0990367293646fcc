// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestTheNetworkCheckSaysWhatTheClusterEnforces: the network of the test cluster enforces nothing.
func TestTheNetworkCheckSaysWhatTheClusterEnforces(t *testing.T) {
	t.Parallel()
	sample, err := os.ReadFile("../../config/samples/network-check.yaml")
	if err != nil {
		t.Fatal(err)
	}
	job := strings.Replace(string(sample), "image: busybox:1.37", "image: "+images+"/shell:latest", 1)
	if _, err := kubectl(
		t.Context(),
		job,
		"--namespace="+builds,
		"delete",
		"--ignore-not-found",
		"--filename=-",
	); err != nil {
		t.Fatal(err)
	}
	if _, err := kubectl(t.Context(), job, "apply", "--filename=-"); err != nil {
		t.Fatal(err)
	}
	const wait = "job/network-check"
	if _, err := kubectl(
		t.Context(),
		"",
		"--namespace="+builds,
		"wait",
		"--for=condition=Failed",
		"--timeout=1m",
		wait,
	); err != nil {
		t.Error(err)
	}
	out, err := kubectl(t.Context(), "", "--namespace="+builds, "logs", wait)
	if err != nil || !strings.HasPrefix(out, "NOT ENFORCED") {
		t.Errorf("%v %s", err, out)
	}
}

// TestBuildsHaveAQuota, and what asks for nothing has limits all the same.
func TestBuildsHaveAQuota(t *testing.T) {
	t.Parallel()
	const pod = `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "big", "namespace": %q}, "spec": {
		"securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
		"containers": [{"name": "c", "image": "x", "resources": {%s}, "securityContext": {
			"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]}}`
	create := func(resources string) (string, error) {
		return kubectl(
			t.Context(), fmt.Sprintf(pod, builds, resources), "create", "--dry-run=server",
			"--output=jsonpath={.spec.containers[0].resources.limits}", "--filename=-",
		)
	}
	if out, err := create(""); err != nil || out != `{"ephemeral-storage":"1Gi","memory":"256Mi"}` {
		t.Errorf("%v %s", err, out)
	}
	for resources, want := range map[string]string{
		`"limits": {"memory": "65Gi"}`: "maximum memory usage per Container is 64Gi",
		`"requests": {"cpu": "33"}`:    "exceeded quota: builds",
	} {
		if _, err := create(resources); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", resources, err)
		}
	}
	_, err := kubectl(
		t.Context(),
		"",
		"--namespace="+builds,
		"create",
		"service",
		"clusterip",
		"x",
		"--tcp=80",
		"--dry-run=server",
	)
	if err == nil || !strings.Contains(err.Error(), "exceeded quota: builds") {
		t.Errorf("a build can have a Service: %v", err)
	}
}
