// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	api "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
)

// Metrics are those of one process: its HTTP server by the semantic conventions
// of OpenTelemetry, the Go runtime and the process itself.
type Metrics struct {
	registry *prometheus.Registry
	provider *metric.MeterProvider
}

// NewMetrics returns metrics with a registry of their own.
func NewMetrics() (*Metrics, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	reader, err := exporter.New(exporter.WithRegisterer(registry), exporter.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("export metrics: %w", err)
	}
	// The Host header is what a client makes it: each value would be a series of its own.
	view := metric.NewView(
		metric.Instrument{Name: "*"},
		metric.Stream{AttributeFilter: attribute.NewDenyKeysFilter("server.address", "server.port")},
	)
	return &Metrics{
		registry: registry,
		provider: metric.NewMeterProvider(metric.WithReader(reader), metric.WithView(view)),
	}, nil
}

// Counter returns what counts one more of something. The name is that of OpenTelemetry;
// Prometheus shows it with the suffix "_total". The values of the labels are given with each
// count, in the order of their names, and have to be of a bounded number.
func (m *Metrics) Counter(
	name, description string,
	labels ...string,
) (func(ctx context.Context, values ...string), error) {
	counter, err := m.provider.Meter("ajour").Int64Counter(name, api.WithDescription(description))
	if err != nil {
		return nil, fmt.Errorf("make counter %s: %w", name, err)
	}
	return func(ctx context.Context, values ...string) {
		counter.Add(ctx, 1, api.WithAttributes(attributesOf(labels, values)...))
	}, nil
}

// Histogram returns what records how long something took. Prometheus shows it in seconds, with the suffix
// "_seconds". For the values of the labels, what is said of those of counters holds.
func (m *Metrics) Histogram(
	name, description string, buckets []float64, labels ...string,
) (func(ctx context.Context, took time.Duration, values ...string), error) {
	histogram, err := m.provider.Meter("ajour").Float64Histogram(
		name, api.WithDescription(description), api.WithUnit("s"), api.WithExplicitBucketBoundaries(buckets...),
	)
	if err != nil {
		return nil, fmt.Errorf("make histogram %s: %w", name, err)
	}
	return func(ctx context.Context, took time.Duration, values ...string) {
		histogram.Record(ctx, took.Seconds(), api.WithAttributes(attributesOf(labels, values)...))
	}, nil
}

func attributesOf(labels, values []string) []attribute.KeyValue {
	attributes := make([]attribute.KeyValue, len(labels))
	for i, label := range labels {
		attributes[i] = attribute.String(label, values[i])
	}
	return attributes
}

// Gauge makes a gauge, which is read whenever the metrics are. Read calls observe for each combination of
// the values of the labels.
func (m *Metrics) Gauge(
	name, description string, read func(observe func(value int64, values ...string)), labels ...string,
) error {
	_, err := m.provider.Meter("ajour").Int64ObservableGauge(
		name, api.WithDescription(description),
		api.WithInt64Callback(func(_ context.Context, o api.Int64Observer) error {
			read(func(value int64, values ...string) {
				o.Observe(value, api.WithAttributes(attributesOf(labels, values)...))
			})
			return nil
		}),
	)
	if err != nil {
		return fmt.Errorf("make gauge %s: %w", name, err)
	}
	return nil
}

// Wrap measures the calls of a handler, and records a span of each.
func (m *Metrics) Wrap(next http.Handler) http.Handler {
	return otelhttp.NewHandler(next, "server", otelhttp.WithMeterProvider(m.provider))
}

// Few returns a function that bounds the values of a label: the first ones are what they are, and all
// others are "other". A series for each of any number of applications would be too many.
func Few(most int) func(value string) string {
	var mu sync.Mutex
	seen := map[string]bool{}
	return func(value string) string {
		mu.Lock()
		defer mu.Unlock()
		if !seen[value] {
			if len(seen) >= most {
				return "other"
			}
			seen[value] = true
		}
		return value
	}
}

// Handler answers /metrics in the text format of Prometheus.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}
