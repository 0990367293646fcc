// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package sink sends events to a Knative sink, such as a broker.
package sink

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/internal/trace"
)

// attempts and firstWait bound the time that a caller waits for a broker that
// stumbles to about two seconds, plus the time of the attempts.
const (
	attempts  = 5
	firstWait = 100 * time.Millisecond
)

// Sink sends events to one URL, the value of K_SINK.
type Sink struct {
	url        string
	http       *http.Client
	extensions map[string]string
}

// New returns a sink. The client must have a timeout.
func New(url string, client *http.Client) *Sink { return &Sink{url: url, http: client} }

// ParseOverrides reads the value of K_CE_OVERRIDES: the extensions that a
// SinkBinding wants on every event. Empty text means none.
func ParseOverrides(text string) (map[string]string, error) {
	var o struct {
		Extensions map[string]string `json:"extensions"`
	}
	if text == "" {
		return o.Extensions, nil
	}
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return nil, fmt.Errorf("read extensions: %w", err)
	}
	return o.Extensions, nil
}

// With returns a sink that sets extensions on every event.
func (s *Sink) With(extensions map[string]string) *Sink {
	return &Sink{url: s.url, http: s.http, extensions: extensions}
}

// Send returns when the sink has taken the event. An attempt whose outcome is
// unknown is repeated with the same id, which is how a receiver finds
// duplicates. Refusals that no repetition can change are final.
func (s *Sink) Send(ctx context.Context, ev cloudevents.Event) (err error) {
	ctx, end := trace.Start(
		ctx, trace.Producer, "send "+ev.Type(), "cloudevents.event_id", ev.ID(), "cloudevents.event_type", ev.Type(),
	)
	defer func() { end(err) }()
	ev = ev.Clone()
	for name, value := range s.extensions {
		ev.SetExtension(name, value)
	}
	if parent := trace.Parent(ctx); parent != "" {
		ev.SetExtension(trace.Attribute, parent)
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.Multiplier = firstWait, 2
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		return struct{}{}, s.attempt(ctx, ev)
	}, backoff.WithBackOff(wait), backoff.WithMaxTries(attempts), backoff.WithMaxElapsedTime(0))
	return err
}

// RefusedError is the answer of a sink that does not take an event, however often it comes.
type RefusedError struct{ Status int }

// Error says what the sink answered.
func (e *RefusedError) Error() string { return fmt.Sprintf("sink answered %d", e.Status) }

// attempt sends an event once. An error that a repetition cannot change is permanent.
func (s *Sink) attempt(ctx context.Context, ev cloudevents.Event) error {
	reply, err := event.Send(ctx, s.http, s.url, ev)
	switch {
	case err != nil:
		return err
	case reply.Status/100 == 2:
		return nil
	case event.Redelivered(reply.Status):
		return fmt.Errorf("sink answered %d", reply.Status)
	default:
		return backoff.Permanent(&RefusedError{reply.Status})
	}
}
