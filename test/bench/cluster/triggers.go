// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/test/devtest"
)

const (
	burst = 400
	// steady is how many triggers follow each other at interval.
	steady   = 100
	interval = 200 * time.Millisecond
)

func (b *bench) application(i int) string { return fmt.Sprintf("%s-%d", b.prefix, i) }

// description is one whose JSON form has about the size in bytes.
func description(size int) map[string]any {
	spec := devtest.Spec("https://git.example.org/acme/fw.git", ":latest", "shell:latest", []string{"true"})
	if size > 0 {
		firmware := spec["firmware"].(map[string]any)["container"].(map[string]any)["build"].(map[string]any)
		var args []string
		for len(args)*64 < size {
			args = append(args, fmt.Sprintf("--argument-%04d=%s", len(args), strings.Repeat("x", 46)))
		}
		firmware["args"] = args
	}
	return spec
}

func (b *bench) createApplications(ctx context.Context, from, n int) error {
	return parallel(n, func(i int) error {
		app := b.application(from + i)
		body := map[string]any{"metadata": map[string]any{"name": app}, "spec": devtest.Of(app, description(0))}
		return b.Call(ctx, http.MethodPost, devtest.Apps, body, nil)
	})
}

// trigger asks for a build of an application and returns its id.
func (b *bench) trigger(ctx context.Context, i int) (string, error) {
	var accepted struct{ ID string }
	err := b.Call(ctx, http.MethodPost, devtest.Builds+"/apps/"+b.application(i)+"/trigger", nil, &accepted)
	return accepted.ID, err
}

// create creates a pending run directly, of an object that nothing else is built for.
func (b *bench) create(ctx context.Context, what string, i int) (string, error) {
	d := build.Description{
		Registry: build.OCI,
		Image:    "bench:latest",
		Builder:  "shell:latest",
		Artifact: "firmware.bin",
		Timeout:  build.Duration(time.Hour),
		Source:   build.Source{URI: "https://git.example.org/acme/fw.git", Path: "."},
		Args:     []string{"true"},
	}
	o := build.ObjectRef{Application: fmt.Sprintf("%s-%s-%d", b.prefix, what, i)}
	return b.createRun(ctx, o, d, time.Now(), func(pr *v1.PipelineRun) {
		// With a different manager, the leader of the builder leaves it alone.
		pr.Labels["app.kubernetes.io/managed-by"] = "bench"
	})
}

// triggers measures how triggers become runs. It returns the latency at a steady rate.
func (b *bench) triggers(ctx context.Context) (p50 time.Duration, err error) {
	if err := b.createApplications(ctx, 0, burst+steady); err != nil {
		return 0, err
	}
	direct := func(i int) (string, error) { return b.create(ctx, "direct", i) }
	ours := func(i int) (string, error) { return b.trigger(ctx, i) }
	if _, err := b.steadily(ctx, 10, func(i int) (string, error) { return b.create(ctx, "warm", i) }, false); err != nil {
		return 0, err
	}
	if err := settle(ctx); err != nil {
		return 0, err
	}
	a, err := b.burst(ctx, direct, false)
	if err != nil {
		return 0, err
	}
	if err := settle(ctx); err != nil {
		return 0, err
	}
	o, err := b.burst(ctx, ours, true)
	if err != nil {
		return 0, err
	}
	if err := settle(ctx); err != nil {
		return 0, err
	}
	fmt.Printf("burst of %d from %d clients: %.1f/s directly, %.1f/s through POST and the broker\n", burst, clients, a, o)
	b.row("rate of a burst, ours to directly", fmt.Sprintf("%.2f", o/a), o >= 0.9*a, "at least 0.90")

	alone, err := b.steadily(ctx, steady, func(i int) (string, error) { return b.create(ctx, "steady", i) }, false)
	if err != nil {
		return 0, err
	}
	through, err := b.steadily(ctx, steady, func(i int) (string, error) { return b.trigger(ctx, burst+i) }, true)
	if err != nil {
		return 0, err
	}
	fmt.Printf(
		"at 5 a second, directly: visible p50 %s, p99 %s\n", percentile(alone.visible, 50),
		percentile(alone.visible, 99),
	)
	p50 = percentile(through.visible, 50)
	b.atMost("at 5 a second, visible p50", p50, percentile(alone.visible, 50)+10*time.Millisecond)
	b.atMost("at 5 a second, visible p99", percentile(through.visible, 99), 100*time.Millisecond)
	b.atMost("at 5 a second, started after that, p50", percentile(through.started, 50), 50*time.Millisecond)
	return p50, nil
}

// burst asks for many runs at once, and returns how many became visible in a second.
func (b *bench) burst(ctx context.Context, ask func(i int) (string, error), started bool) (rate float64, err error) {
	ids := make([]string, burst)
	begin := time.Now()
	if err := parallel(burst, func(i int) (err error) { ids[i], err = ask(i); return err }); err != nil {
		return 0, err
	}
	seen, err := b.await(ctx, ids, false)
	if err != nil {
		return 0, err
	}
	last := begin
	for _, s := range seen {
		if s.visible.After(last) {
			last = s.visible
		}
		if s.times != 1 {
			return 0, fmt.Errorf("a build has %d runs", s.times)
		}
	}
	if started {
		if _, err := b.await(ctx, ids, true); err != nil {
			return 0, fmt.Errorf("started: %w", err)
		}
	}
	return burst / last.Sub(begin).Seconds(), nil
}

// latencies are those of runs that follow each other.
type latencies struct{ visible, started []time.Duration }

func (b *bench) steadily(
	ctx context.Context, n int, ask func(i int) (string, error), started bool,
) (l latencies, err error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	ids, asked := make([]string, n), make([]time.Time, n)
	for i := range n {
		<-tick.C
		asked[i] = time.Now()
		if ids[i], err = ask(i); err != nil {
			return l, err
		}
	}
	seen, err := b.await(ctx, ids, started)
	if err != nil {
		return l, err
	}
	for i, s := range seen {
		l.visible = append(l.visible, s.visible.Sub(asked[i]))
		if started {
			l.started = append(l.started, s.started.Sub(s.visible))
		}
	}
	return l, nil
}
