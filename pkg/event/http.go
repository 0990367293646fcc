// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/drogue-iot/ajour/pkg/internal/trace"
)

const (
	// maxEvent bounds an event. The largest are Tekton's, which carry a whole
	// PipelineRun; etcd stores no object over 1.5 MiB.
	maxEvent = 2 << 20
	// maxReply bounds what is read of an answer; Knative reports 1 KiB of it.
	maxReply = 64 << 10
)

// Receive reads one event from a request, in binary or structured mode.
func Receive(w http.ResponseWriter, r *http.Request) (cloudevents.Event, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxEvent)
	msg := cehttp.NewMessageFromHttpRequest(r)
	defer func() { _ = msg.Finish(nil) }()
	ev, err := binding.ToEvent(r.Context(), msg)
	if err != nil {
		return cloudevents.Event{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if msg.ReadEncoding() == binding.EncodingBinary {
		unescapeAttributes(ev)
	}
	if err := ev.Validate(); err != nil {
		return cloudevents.Event{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return *ev, nil
}

// Handler delivers events to handle and answers as Knative and Tekton expect of a
// subscriber: 202 when it is done, 400 for an event that nobody will ever understand, and
// 503 for everything else, so that it is redelivered. Tekton does not repeat a 500. The
// body is always empty: Knative would take one for a failed attempt to reply with an event.
func Handler(log *slog.Logger, handle func(context.Context, cloudevents.Event) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		ev, err := Receive(w, r)
		if err == nil {
			err = traced(r.Context(), ev, handle)
		}
		status := http.StatusAccepted
		switch {
		case errors.Is(err, ErrMalformed):
			status = http.StatusBadRequest
			log.WarnContext(r.Context(), "event refused", "type", ev.Type(), "event", ev.ID(), "error", err)
		case err != nil:
			status = http.StatusServiceUnavailable
			log.WarnContext(r.Context(), "event deferred", "type", ev.Type(), "event", ev.ID(), "error", err)
		}
		w.WriteHeader(status)
	})
}

// traced handles an event in the trace that it names, which is that of whoever sent it: the headers of
// the request are those of the broker.
func traced(ctx context.Context, ev cloudevents.Event, handle func(context.Context, cloudevents.Event) error) error {
	parent, _ := ev.Extensions()[trace.Attribute].(string)
	ctx, end := trace.Start(
		trace.With(ctx, parent), trace.Consumer, "process "+ev.Type(), "cloudevents.event_id", ev.ID(),
		"cloudevents.event_type", ev.Type(), "cloudevents.event_source", ev.Source(),
	)
	err := handle(ctx, ev)
	end(err)
	return err
}

// Reply is the answer to an event that was sent.
type Reply struct {
	Status int
	Body   []byte
	// Event is set when the body is an event.
	Event *cloudevents.Event
}

// Send posts one event in binary mode and returns the answer. The error is of
// the transport only.
func Send(ctx context.Context, client *http.Client, url string, ev cloudevents.Event) (Reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return Reply{}, fmt.Errorf("send event: %w", err)
	}
	ev = escapeAttributes(ev)
	if err := cehttp.WriteRequest(ctx, binding.ToMessage(&ev), req); err != nil {
		return Reply{}, fmt.Errorf("send event: %w", err)
	}
	res, err := client.Do(req)
	if err != nil {
		return Reply{}, fmt.Errorf("send event: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return Reply{}, fmt.Errorf("read reply to event: %w", err)
	}
	reply := Reply{Status: res.StatusCode, Body: body}
	if len(body) > 0 {
		msg := cehttp.NewMessage(res.Header, io.NopCloser(bytes.NewReader(body)))
		if ev, err := binding.ToEvent(ctx, msg); err == nil && ev.Validate() == nil {
			unescapeAttributes(ev)
			reply.Event = ev
		}
	}
	return reply, nil
}

// Redelivered reports whether Knative redelivers an event after the status
// (its retry rule: no answer, 404, 408, 409, 429 and all 5xx).
func Redelivered(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return true
	default:
		return status >= 500
	}
}
