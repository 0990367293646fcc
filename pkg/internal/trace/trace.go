// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package trace carries a W3C trace context (https://www.w3.org/TR/trace-context/) from a call through
// events and runs to the condition that is written, and records spans of it. They are exported if the
// process says where to, see pkg/server; the context is carried in any case.
package trace

import (
	"context"
	"encoding/json"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Attribute names a context in events (the extension of CloudEvents for distributed tracing).
const Attribute = "traceparent"

// Kind is the part that a span has in a message.
type Kind = trace.SpanKind

// The kinds of spans.
const (
	Internal = trace.SpanKindInternal
	Producer = trace.SpanKindProducer
	Consumer = trace.SpanKindConsumer
)

// Start begins a span, with the names and values of attributes in turn. Call end with what it came to.
func Start(ctx context.Context, kind Kind, name string, attributes ...string) (_ context.Context, end func(error)) {
	list := make([]attribute.KeyValue, 0, len(attributes)/2)
	for i := 0; i+1 < len(attributes); i += 2 {
		list = append(list, attribute.String(attributes[i], attributes[i+1]))
	}
	ctx, span := otel.Tracer("github.com/drogue-iot/ajour").
		Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(list...))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// Name names the span of a context after what it turned out to be, such as the route of a call.
func Name(ctx context.Context, name string) { trace.SpanFromContext(ctx).SetName(name) }

// Parent is the trace context of ctx as the value of traceparent; empty if there is none.
func Parent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[Attribute]
}

// With returns ctx with the trace context of a traceparent. One that is malformed, as whoever posts to a
// broker may make it, is left out.
func With(ctx context.Context, parent string) context.Context {
	if parent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{Attribute: parent})
}

// Carrier is the trace context of ctx as Tekton takes it from an annotation of a PipelineRun (upstream
// pkg/reconciler/pipelinerun/tracing.go); empty if there is none.
func Carrier(ctx context.Context) string {
	parent := Parent(ctx)
	if parent == "" {
		return ""
	}
	data, err := json.Marshal(map[string]string{Attribute: parent})
	if err != nil { // a map of texts can be marshalled
		panic(err)
	}
	return string(data)
}

// ParentIn returns the traceparent in such an annotation; empty if there is none.
func ParentIn(carrier string) string {
	var members map[string]string
	if json.Unmarshal([]byte(carrier), &members) != nil {
		return ""
	}
	return members[Attribute]
}
