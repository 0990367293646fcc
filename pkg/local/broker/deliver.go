// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/drogue-iot/ajour/pkg/event"
)

// maxErrorData is how much of an answer Knative keeps in a dead letter.
const maxErrorData = 1024

// deliver tries until the subscriber took the event, refused it for good, or
// failed too often. When the broker stops in between, nothing is recorded: the
// event is redelivered after the next start.
func (b *Broker) deliver(ctx context.Context, d *delivery) {
	sub := b.subscription(d.Trigger)
	if sub == nil { // the Trigger was removed while the event was on disk
		b.finish(ctx, d, true)
		return
	}
	for attempt := 0; ; attempt++ {
		reply, repeat, err := b.attempt(ctx, sub, d)
		if ctx.Err() != nil && err != nil {
			return
		}
		if err == nil {
			b.finish(ctx, d, false)
			return
		}
		if !repeat || attempt >= sub.retry.RetryMax {
			d.Event.SetExtension("knativeerrordest", sub.url)
			d.Event.SetExtension("knativeerrorcode", strconv.Itoa(reply.Status))
			d.Event.SetExtension("knativeerrordata", string(reply.Body[:min(len(reply.Body), maxErrorData)]))
			b.log.ErrorContext(ctx, "event is undeliverable", "trigger", sub.name, "type", d.Event.Type(), "event", d.Event.ID(),
				"attempts", attempt+1, "error", err)
			b.finish(ctx, d, true)
			return
		}
		wait := time.NewTimer(sub.backoff(attempt, nil))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
	}
}

// attempt delivers once and reports whether a further attempt makes sense.
func (b *Broker) attempt(ctx context.Context, sub *subscription, d *delivery) (event.Reply, bool, error) {
	select {
	case <-ctx.Done():
		return event.Reply{}, true, ctx.Err()
	case b.slots[sub.name] <- struct{}{}:
	}
	defer func() { <-b.slots[sub.name] }()
	reply, err := event.Send(ctx, b.http, sub.url, d.Event)
	switch {
	case err != nil:
		return reply, true, err
	case reply.Status/100 != 2:
		return reply, event.Redelivered(reply.Status), fmt.Errorf("subscriber answered %d", reply.Status)
	case len(reply.Body) > 0 && reply.Event == nil:
		// Knative's filter answers 502 in this case, which is retried.
		reply.Status = http.StatusBadGateway
		return reply, true, fmt.Errorf("subscriber answered with a body that is no event")
	case reply.Event != nil && d.Hops < maxHops:
		return reply, true, b.publish(ctx, *reply.Event, d.Hops+1)
	default:
		return reply, false, nil
	}
}

func (b *Broker) subscription(name string) *subscription {
	for _, s := range b.subscriptions {
		if s.name == name {
			return s
		}
	}
	return nil
}

func (b *Broker) finish(ctx context.Context, d *delivery, dead bool) {
	if err := b.store.finish(d, dead); err != nil {
		// The event stays on disk and is redelivered after a restart.
		b.log.ErrorContext(ctx, "delivery cannot be recorded", "event", d.Event.ID(), "error", err)
	}
}
