// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drogue-iot/ajour/test/devtest"
)

// TestABuildIsMeasuredAndTraced: its run names the trace of the call, through the broker, and the status
// service counts its end.
func TestABuildIsMeasuredAndTraced(t *testing.T) {
	t.Parallel()
	const trace = "0af7651916cd43dd8448eb211c80319c"
	w, app := start(t), name(t)
	w.create(app, "", shell(t, makeFirmware))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api+devtest.Builds+"/apps/"+app+"/trigger", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.Token)
	r.Header.Set("Traceparent", "00-"+trace+"-b7ad6b7169203331-01")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var accepted struct{ ID string }
	if err := json.NewDecoder(res.Body).Decode(&accepted); err != nil || res.StatusCode != http.StatusAccepted {
		t.Fatal(res.Status, err)
	}
	w.await(devtest.AppPath(app), accepted.ID)
	annotation, err := kubectl(
		t.Context(),
		"",
		"--namespace="+builds,
		"get",
		"pipelineruns",
		"--selector=application="+app,
		`--output=jsonpath={.items[*].metadata.annotations.tekton\.dev/pipelinerunSpanContext}`,
	)
	if err != nil || !strings.Contains(annotation, `"00-`+trace+"-") {
		t.Errorf("the run has the trace %q: %v", annotation, err)
	}
	want := `ajour_builds_ended_total{application="` + app + `",phase="Succeeded",reason="Succeeded"} 1`
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !strings.Contains(metricsOf(t, "status"), want) {
		if ctx.Err() != nil {
			t.Fatalf("the end is not counted: %s\n%s", want, metricsOf(t, "status"))
		}
		wait(ctx, time.Second)
	}
	if metrics := metricsOf(t, "builder"); !strings.Contains(metrics, "ajour_queue_oldest_seconds") {
		t.Error(metrics)
	}
}

// metricsOf returns the metrics of all replicas of a service.
func metricsOf(t *testing.T, service string) string {
	t.Helper()
	pods, err := kubectl(t.Context(), "", "--namespace=ajour", "get", "pods",
		"--selector=app.kubernetes.io/name="+service, "--output=jsonpath={.items[*].metadata.name}")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for pod := range strings.FieldsSeq(pods) {
		metrics, err := kubectl(t.Context(), "", "get", "--raw", "/api/v1/namespaces/ajour/pods/"+pod+":9090/proxy/metrics")
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(metrics)
	}
	return all.String()
}

// TestTheServiceHasAConsole, whose pages may connect to the issuer.
func TestTheServiceHasAConsole(t *testing.T) {
	t.Parallel()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api+"/builds", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if policy := res.Header.Get(
		"Content-Security-Policy",
	); err != nil ||
		!strings.Contains(string(page), "<title>Ajour</title>") ||
		!strings.Contains(policy, "connect-src 'self' "+backend+";") {
		t.Errorf("%s %v\n%s\n%s", res.Status, err, policy, page)
	}
}
