// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// flushWithin bounds how long the end of a process waits for the last spans to be exported.
const flushWithin = 3 * time.Second

// Traces are the spans of one process.
type Traces struct{ provider *trace.TracerProvider }

// NewTraces has the spans of this process exported by OTLP over HTTP, if export says so; the variables of
// OpenTelemetry, such as OTEL_EXPORTER_OTLP_ENDPOINT, say where to, and OTEL_TRACES_SAMPLER how many. The
// service is called "ajour-" and a name, unless OTEL_SERVICE_NAME says otherwise. Trace contexts are passed
// on in any case.
func NewTraces(ctx context.Context, name string, export bool) (*Traces, error) {
	otel.SetTextMapPropagator(propagation.TraceContext{})
	if !export {
		return &Traces{}, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("export traces: %w", err)
	}
	about, err := resource.New(
		ctx, resource.WithAttributes(
			attribute.String("service.name", "ajour-"+name), attribute.String("service.version", Version()),
		), resource.WithFromEnv(), resource.WithTelemetrySDK(),
	)
	if err != nil {
		return nil, fmt.Errorf("describe service for traces: %w", err)
	}
	t := &Traces{trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(about))}
	otel.SetTracerProvider(t.provider)
	return t, nil
}

// Close exports the last spans. Those that nobody takes are lost.
func (t *Traces) Close(ctx context.Context) {
	if t == nil || t.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // there is nobody to tell
}

// Traced records a span of each call of a handler, in the trace that the caller names.
func Traced(next http.Handler) http.Handler {
	return otelhttp.NewHandler(next, "server", otelhttp.WithMeterProvider(noop.NewMeterProvider()))
}

// Transport passes the trace context on with calls, and records a span of each.
func Transport(next http.RoundTripper) http.RoundTripper { return otelhttp.NewTransport(next) }
