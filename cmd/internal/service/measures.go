// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/server"
	"github.com/drogue-iot/ajour/pkg/status"
)

// maxApplications is how many applications have metrics of their own; the others are "other" together.
const maxApplications = 200

// Buckets of histograms, in seconds: of a build and its steps, and of the time in the queue.
var (
	buildBuckets = []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200}
	queueBuckets = []float64{.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600}
)

// MeasureStatus has the status service count builds and what it writes.
func MeasureStatus(m *server.Metrics, o *status.Options) error {
	few := server.Few(maxApplications)
	ended, err := m.Counter(
		"ajour.builds.ended", "Builds that have ended, by how.", "application", "phase", "reason",
	)
	if err != nil {
		return err
	}
	took, err := m.Histogram("ajour.build.duration", "How long builds took from their start.", buildBuckets, "phase")
	if err != nil {
		return err
	}
	step, err := m.Histogram(
		"ajour.build.step.duration", "How long the steps of builds took.", buildBuckets, "step", "state",
	)
	if err != nil {
		return err
	}
	waited, err := m.Histogram("ajour.build.queue.duration", "How long builds waited for their start.", queueBuckets)
	if err != nil {
		return err
	}
	written, err := m.Counter(
		"ajour.registry.writes", "Writings of a status to the Drogue registry, by what came of them.", "outcome",
	)
	if err != nil {
		return err
	}
	o.Wrote = func(ctx context.Context, outcome string) { written(ctx, outcome) }
	o.Ended = func(ctx context.Context, r build.Run) {
		ended(ctx, few(r.Object.Application), string(r.Phase), string(r.Reason))
		if r.Started.IsZero() {
			return
		}
		waited(ctx, max(0, r.Started.Sub(r.Requested))) // a start is in whole seconds
		took(ctx, r.Completed.Sub(r.Started), string(r.Phase))
		for _, s := range r.Steps {
			if !s.Started.IsZero() && !s.Completed.IsZero() {
				step(ctx, s.Completed.Sub(s.Started), s.Name, string(s.State))
			}
		}
	}
	return nil
}

// MeasureQueue has the builder show what is active and what waits.
func MeasureQueue(m *server.Metrics, each func(build.Query, func(*build.Run)), clock func() time.Time) error {
	few := server.Few(maxApplications)
	err := m.Gauge(
		"ajour.builds.active", "Builds that are queued or run.",
		func(observe func(int64, ...string)) {
			type series struct{ application, phase string }
			counts := map[series]int64{}
			each(build.Query{Active: true}, func(r *build.Run) {
				counts[series{few(r.Object.Application), string(r.Phase)}]++
			})
			for s, n := range counts {
				observe(n, s.application, s.phase)
			}
		}, "application", "phase",
	)
	if err != nil {
		return err
	}
	return m.Gauge(
		"ajour.queue.oldest.seconds", "Seconds since the oldest build that is queued was asked for; 0 for none.",
		func(observe func(int64, ...string)) {
			oldest := time.Duration(0)
			each(build.Query{Active: true}, func(r *build.Run) {
				if r.Phase == build.Queued {
					oldest = max(oldest, clock().Sub(r.Requested))
				}
			})
			observe(int64(oldest.Seconds()))
		},
	)
}

// MeasureCalls returns what counts a call of the API that was not carried out, by the code of the answer.
func MeasureCalls(m *server.Metrics) (refused func(ctx context.Context, code string), err error) {
	count, err := m.Counter(
		"ajour.calls.refused", "Calls that were not carried out, by the code of the answer.", "code",
	)
	return func(ctx context.Context, code string) { count(ctx, code) }, err
}

// MeasureSource returns what counts the records of the registry's topic, and shows how many were not passed
// on yet.
func MeasureSource(m *server.Metrics, lag func() int64) (records func(ctx context.Context, outcome string), err error) {
	count, err := m.Counter("ajour.source.records", "Records of the registry's topic, by outcome.", "outcome")
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, outcome string) { count(ctx, outcome) }, m.Gauge(
		"ajour.source.lag", "Records that were not passed on yet, -1 while nobody knows.",
		func(observe func(int64, ...string)) { observe(lag()) },
	)
}
