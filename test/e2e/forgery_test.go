// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/event/eventtest"
)

// eventKey is the key of the installation, in test/e2e/deploy/secrets.yaml.
const eventKey = "planted-event-key-planted-event-key"

// TestForgedEventsChangeNothing posts each of our events in each way in which it can be forged
// to the broker, to the builder and to the status service, as any pod of the cluster could.
func TestForgedEventsChangeNothing(t *testing.T) {
	w := start(t)
	app := name(t)
	path := w.create(app, "", shell(t, makeFirmware))
	before := w.await(path, w.trigger("/apps/"+app))
	var object any
	if err := w.Call(t.Context(), http.MethodGet, path, nil, &object); err != nil {
		t.Fatal(err)
	}
	runs := runsOf(t, app)
	dropped := droppedEvents(t)

	victim := eventtest.Victim{Key: eventKey, ID: before.Status.Build.Build, Object: build.ObjectRef{Application: app}}
	posted := 0
	for how, events := range victim.Forged(t, time.Now()) {
		for _, ev := range events {
			for _, url := range []string{
				"http://builder.ajour.svc.cluster.local", "http://status.ajour.svc.cluster.local",
				"http://broker-ingress.knative-eventing.svc.cluster.local/ajour/ajour",
			} {
				reply, err := event.Send(t.Context(), http.DefaultClient, url, ev)
				if err != nil || reply.Status/100 != 2 {
					t.Errorf("%s, %s to %s: %v %v", ev.Type(), how, url, reply, err)
				}
				// All but the end of a build, which nobody subscribes to.
				if !strings.Contains(url, "broker") || ev.Type() != event.TypeFinished {
					posted++
				}
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for droppedEvents(t) < dropped+posted {
		if ctx.Err() != nil {
			t.Fatalf("%d events are counted, %d were posted", droppedEvents(t)-dropped, posted)
		}
		wait(ctx, 200*time.Millisecond)
	}
	var after any
	if err := w.Call(t.Context(), http.MethodGet, path, nil, &after); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(object, after); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(runs, runsOf(t, app)); diff != "" {
		t.Error(diff)
	}
}

// runsOf returns the names and the states of an application's runs.
func runsOf(t *testing.T, app string) string {
	t.Helper()
	out, err := kubectl(t.Context(), "", "--namespace="+builds, "get", "pipelineruns", "--selector=application="+app,
		"--output=jsonpath={range .items[*]}{.metadata.name} {.spec.status} {.status.conditions[0].reason}{'\\n'}{end}")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// droppedEvents returns how many events the services have counted as forged.
func droppedEvents(t *testing.T) (n int) {
	t.Helper()
	pods, err := kubectl(t.Context(), "", "--namespace=ajour", "get", "pods",
		"--selector=app.kubernetes.io/name in (builder,status)", "--output=jsonpath={.items[*].metadata.name}")
	if err != nil {
		t.Fatal(err)
	}
	for pod := range strings.FieldsSeq(pods) {
		metrics, err := kubectl(t.Context(), "", "get", "--raw", "/api/v1/namespaces/ajour/pods/"+pod+":9090/proxy/metrics")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(metrics) {
			if !strings.HasPrefix(line, "ajour_events_dropped_total{") {
				continue
			}
			fields := strings.Fields(line)
			value, err := strconv.ParseFloat(fields[len(fields)-1], 64)
			if err != nil {
				t.Fatal(err)
			}
			n += int(value)
		}
	}
	return n
}
