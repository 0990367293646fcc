// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"net/http"

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
		attributes := make([]attribute.KeyValue, len(labels))
		for i, label := range labels {
			attributes[i] = attribute.String(label, values[i])
		}
		counter.Add(ctx, 1, api.WithAttributes(attributes...))
	}, nil
}

// Gauge makes a gauge, which is read whenever somebody looks at the metrics.
func (m *Metrics) Gauge(name, description string, read func() int64) error {
	_, err := m.provider.Meter("ajour").Int64ObservableGauge(
		name, api.WithDescription(description),
		api.WithInt64Callback(func(_ context.Context, o api.Int64Observer) error {
			o.Observe(read())
			return nil
		}),
	)
	if err != nil {
		return fmt.Errorf("make gauge %s: %w", name, err)
	}
	return nil
}

// Wrap measures the calls of a handler.
func (m *Metrics) Wrap(next http.Handler) http.Handler {
	return otelhttp.NewHandler(next, "server", otelhttp.WithMeterProvider(m.provider))
}

// Handler answers /metrics in the text format of Prometheus.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}
