// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/test/devtest"
)

const (
	// perObject is how many ended builds an object has, as KEEP_BUILDS retains.
	perObject = 20
	// large is the size of a description in bytes.
	large = 8 << 10
)

// many fills the cluster with ended builds, and measures what the services need then.
func (b *bench) many(ctx context.Context, n int, empty time.Duration) error {
	begin := time.Now()
	if err := b.fill(ctx, n); err != nil {
		return err
	}
	fmt.Printf("%d ended builds were created in %s\n", n, time.Since(begin).Round(time.Second))
	if err := settle(ctx); err != nil { // their states are recorded
		return err
	}
	for _, service := range []string{"api", "builder", "status"} {
		took, err := b.restart(ctx, service)
		if err != nil {
			return err
		}
		b.atMost(service+", from its start to ready", took, 5*time.Second)
	}
	if err := settle(ctx); err != nil {
		return err
	}
	before, err := b.apiRequests(ctx)
	if err != nil {
		return err
	}
	const idle = 60 * time.Second
	time.Sleep(idle)
	after, err := b.apiRequests(ctx)
	if err != nil {
		return err
	}
	// Six replicas of three services ask for these.
	rate := float64(after-before) / idle.Seconds() / 3
	b.row("requests to the API server by a service while idle", fmt.Sprintf("%.2f/s", rate), rate <= 1, "at most 1/s")
	var gets []time.Duration
	for range 50 {
		took, err := b.get(ctx, "/api/builds/v1alpha1/")
		if err != nil {
			return err
		}
		gets = append(gets, took)
	}
	b.atMost("GET / of the API, p50", percentile(gets, 50), 20*time.Millisecond)
	full, err := b.steadily(ctx, steady/2, func(i int) (string, error) { return b.trigger(ctx, i) }, false)
	if err != nil {
		return err
	}
	ratio := float64(percentile(full.visible, 50)) / float64(empty)
	b.row("trigger latency, to that of an empty cluster", fmt.Sprintf("%.2f", ratio), ratio <= 1.2, "at most 1.20")
	for _, service := range []string{"api", "builder", "status"} {
		most, err := b.resident(ctx, service)
		if err != nil {
			return err
		}
		b.row(service+", resident memory", fmt.Sprintf("%d MB", most>>20), most <= 100<<20, "at most 100 MB")
	}
	return nil
}

// fill creates ended builds of the applications of the burst, with large descriptions.
func (b *bench) fill(ctx context.Context, n int) error {
	section, err := json.Marshal(devtest.Of("bench", description(large))["firmware"])
	if err != nil {
		return err
	}
	d, err := build.Parse(section)
	if err != nil {
		return err
	}
	return parallel(n, func(i int) error {
		o := build.ObjectRef{Application: b.application(i / perObject)}
		id, err := b.createRun(ctx, o, d, time.Now().Add(-24*time.Hour), begun)
		if err != nil {
			return err
		}
		return b.end(ctx, id)
	})
}

// restart kills the pods of a service, and returns how long a new one takes to be ready.
func (b *bench) restart(ctx context.Context, service string) (time.Duration, error) {
	if _, err := kubectl(ctx, "--namespace=ajour", "rollout", "restart", "deployment/"+service); err != nil {
		return 0, err
	}
	if _, err := kubectl(
		ctx, "--namespace=ajour", "rollout", "status", "deployment/"+service, "--timeout=10m",
	); err != nil {
		return 0, err
	}
	const started = `{.status.containerStatuses[0].state.running.startedAt}`
	const ready = `{.status.conditions[?(@.type=="Ready")].lastTransitionTime}`
	out, err := kubectl(
		ctx, "--namespace=ajour", "get", "pods", "--selector=app.kubernetes.io/name="+service,
		"--field-selector=status.phase=Running", "--sort-by=.metadata.creationTimestamp",
		`--output=jsonpath={range .items[*]}`+started+` `+ready+` {.metadata.deletionTimestamp}{"\n"}{end}`,
	)
	if err != nil {
		return 0, err
	}
	var most time.Duration
	for line := range strings.Lines(out) {
		times := strings.Fields(line)
		if len(times) != 2 { // one of before, which is being deleted
			continue
		}
		from, err1 := time.Parse(time.RFC3339, times[0])
		to, err2 := time.Parse(time.RFC3339, times[1])
		if err := errors.Join(err1, err2); err != nil {
			return 0, err
		}
		most = max(most, to.Sub(from))
	}
	return most, nil
}

// metric sums the lines of a text in Prometheus' format that begin with a name and have all of
// the labels.
func metric(text, name string, labels ...string) (sum float64) {
lines:
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, name) {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(line, l) {
				continue lines
			}
		}
		fields := strings.Fields(line)
		if v, err := strconv.ParseFloat(fields[len(fields)-1], 64); err == nil {
			sum += v
		}
	}
	return sum
}

// runRequests returns how many requests for runs and TaskRuns the API server has answered.
func runRequests(ctx context.Context) (int, error) {
	text, err := kubectl(ctx, "get", "--raw", "/metrics")
	if err != nil {
		return 0, err
	}
	const name = "apiserver_request_total"
	return int(metric(text, name, `resource="pipelineruns"`) + metric(text, name, `resource="taskruns"`)), nil
}

// apiRequests returns how many requests the API server has answered that only our services
// ask for: those for runs, and for the Leases.
func (b *bench) apiRequests(ctx context.Context) (int, error) {
	n, err := runRequests(ctx)
	if err != nil {
		return 0, err
	}
	leases, err := kubectl(ctx, "--namespace=ajour", "get", "leases", "--output=jsonpath={.items[*].metadata.name}")
	if err != nil {
		return 0, err
	}
	// A leader renews its Lease every two seconds, its other replica reads it as often.
	return n + len(strings.Fields(leases))*int(time.Now().Unix()), nil
}

// settle waits until the services have handled what they were asked for: until no request for
// a run came within three seconds.
func settle(ctx context.Context) error {
	last := -1
	return wait.PollUntilContextTimeout(ctx, 3*time.Second, 15*time.Minute, true, func(ctx context.Context) (bool, error) {
		n, err := runRequests(ctx)
		quiet := n == last
		last = n
		return quiet, err
	})
}

// resident returns the largest resident memory of a service's replicas, in bytes.
func (b *bench) resident(ctx context.Context, service string) (int64, error) {
	pods, err := kubectl(ctx, "--namespace=ajour", "get", "pods", "--selector=app.kubernetes.io/name="+service,
		"--field-selector=status.phase=Running", "--output=jsonpath={.items[*].metadata.name}")
	if err != nil {
		return 0, err
	}
	var most float64
	for pod := range strings.FieldsSeq(pods) {
		text, err := kubectl(ctx, "get", "--raw", "/api/v1/namespaces/ajour/pods/"+pod+":9090/proxy/metrics")
		if err != nil {
			return 0, err
		}
		most = max(most, metric(text, "process_resident_memory_bytes"))
	}
	return int64(most), nil
}

// get returns how long a GET of the API takes.
func (b *bench) get(ctx context.Context, path string) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, api+path, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+b.Token)
	begin := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0, err
	}
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("GET %s: %s", path, res.Status)
	}
	return time.Since(begin), nil
}
