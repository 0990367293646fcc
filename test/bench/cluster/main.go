// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command cluster measures an installation on the cluster of KUBECONFIG: how fast triggers
// become PipelineRuns, beside a client that creates PipelineRuns directly; the same of pushes; how fast
// the end of a run is on its object; how fast a change is with those who watch; and what the services need when the
// cluster has many ended builds. It
// prints each figure with its limit, and fails if one is missed.
//
// Tekton's controller is scaled to zero while it measures, so that no pod takes part.
//
//	make bench-cluster          takes about fifteen minutes on two cores
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	only := flag.Bool("streams", false, "measure nothing but streams of events")
	ended := flag.Int("ended", 10_000, "`number` of ended builds that the cluster has for the last part; none if 0")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := run(ctx, *only, *ended); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only bool, ended int) (err error) {
	b, err := connect(ctx)
	if err != nil {
		return err
	}
	restore, err := b.pauseTekton(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if failed := restore(); err == nil {
			err = failed
		}
	}()
	if err := b.watch(ctx); err != nil {
		return err
	}
	measure := b.all
	if only {
		measure = func(ctx context.Context, _ int) error { return b.streams(ctx) }
	}
	if err := measure(ctx, ended); err != nil {
		return err
	}
	if b.missed > 0 {
		return fmt.Errorf("%d limits are missed", b.missed)
	}
	return nil
}

// all measures everything.
func (b *bench) all(ctx context.Context, ended int) error {
	empty, err := b.triggers(ctx)
	if err != nil {
		return err
	}
	for _, measure := range []func(context.Context) error{b.pushes, b.ends, b.streams} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	if ended > 0 {
		return b.many(ctx, ended, empty)
	}
	return nil
}
