// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryOverlayIsAccepted renders each supported installation, and has the API
// server and all webhooks judge it, to the last field. It goes into namespaces of
// its own, since not every field of what is installed could be changed.
func TestEveryOverlayIsAccepted(t *testing.T) {
	t.Parallel()
	overlays, err := filepath.Glob("../../config/overlays/*")
	if err != nil || len(overlays) < 3 {
		t.Fatal(overlays, err)
	}
	for _, dir := range overlays {
		overlay := filepath.Base(dir)
		t.Run(overlay, func(t *testing.T) {
			t.Parallel()
			manifests, err := kubectl(t.Context(), "", "kustomize", dir)
			if err != nil {
				t.Fatal(err)
			}
			services, pods := "dry-"+overlay, "dry-"+overlay+"-builds"
			for _, namespace := range []string{services, pods} {
				if _, err := kubectl(t.Context(), "", "create", "namespace", namespace); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					_, _ = kubectl(context.WithoutCancel(t.Context()), "", "delete", "namespace", namespace, "--wait=false")
				})
			}
			manifests = strings.NewReplacer(
				"namespace: ajour-builds\n", "namespace: "+pods+"\n", "namespace: ajour\n", "namespace: "+services+"\n",
			).Replace(manifests)
			if out, err := kubectl(
				t.Context(), manifests, "apply", "--dry-run=server", "--validate=strict", "--filename=-",
			); err != nil {
				t.Error(err)
			} else if !strings.Contains(
				out,
				"trigger.eventing.knative.dev/builder created",
			) {
				t.Error(out)
			}
		})
	}
}

// TestTheServicesMayDoNoMoreThanTheyHaveTo asks the API server for what would harm
// most if one of them were taken over.
func TestTheServicesMayDoNoMoreThanTheyHaveTo(t *testing.T) {
	t.Parallel()
	may := map[string]bool{
		"ajour:builder delete pipelineruns.tekton.dev " + builds: true, // that ended long ago
		"ajour:status delete pods " + builds:                     true, // that outlive their build
	}
	for _, account := range []string{"ajour:api", "ajour:builder", "ajour:status", "ajour-builds:ajour-build"} {
		for _, act := range [][]string{
			{"get", "secrets"}, {"create", "pods"}, {"create", "pods/exec"}, {
				"delete",
				"pipelineruns.tekton.dev",
			}, {"delete", "pods"}, {"update", "tasks.tekton.dev"},
		} {
			for _, namespace := range []string{"ajour", builds, "kube-system"} {
				out, err := kubectl(
					t.Context(),
					"",
					append([]string{"auth", "can-i", "--as=system:serviceaccount:" + account, "--namespace=" + namespace}, act...)...)
				want := may[account+" "+strings.Join(act, " ")+" "+namespace]
				if (err == nil) != want || strings.HasPrefix(out, "yes") != want {
					t.Errorf("whether %s may %v in %s: %s, not %t", account, act, namespace, out, want)
				}
			}
		}
	}
}

// TestPodsWithPrivilegesAreNotAdmitted: neither beside the services nor the builds.
func TestPodsWithPrivilegesAreNotAdmitted(t *testing.T) {
	t.Parallel()
	for _, namespace := range []string{"ajour", builds} {
		_, err := kubectl(
			t.Context(), "", "--namespace="+namespace, "run", "--image="+images+"/busybox:latest",
			"--restart=Never", "--dry-run=server", "intruder",
		)
		if err == nil || !strings.Contains(err.Error(), "violates PodSecurity") {
			t.Errorf("%s: %v", namespace, err)
		}
	}
}

func TestMetricsAreServed(t *testing.T) {
	t.Parallel()
	for _, service := range []string{"api", "builder", "status", "registry-source"} {
		out, err := kubectl(
			t.Context(), "", "get", "--raw",
			"/api/v1/namespaces/ajour/pods/"+firstPod(t, service)+":9090/proxy/metrics",
		)
		if err != nil || !strings.Contains(out, "process_resident_memory_bytes") {
			t.Errorf("%s: %v %.300s", service, err, out)
		}
	}
}

func firstPod(t *testing.T, service string) string { t.Helper(); return podOf(t, "ajour", service) }

// podOf returns a pod of a service that runs.
func podOf(t *testing.T, namespace, service string) string {
	t.Helper()
	out, err := kubectl(
		t.Context(), "", "--namespace="+namespace, "get", "pods", "--selector=app.kubernetes.io/name="+service,
		"--field-selector=status.phase=Running", "--output=jsonpath={.items[0].metadata.name}",
	)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
