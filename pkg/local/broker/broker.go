// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"

	"github.com/drogue-iot/ajour/pkg/event"
)

const (
	// parallel bounds the deliveries that are under way to one subscriber.
	parallel = 16
	// maxHops ends a loop of replies; it is the time to live of Knative's broker.
	maxHops = 255
)

// Options configure a [Broker].
type Options struct {
	// Triggers route events to subscribers.
	Triggers []*eventingv1.Trigger
	// Resolve returns the URL of a Service, which is what subscribers are.
	Resolve func(service string) string
	// HTTP delivers. It must have a timeout.
	HTTP *http.Client
	Log  *slog.Logger
}

// Broker takes events as an http.Handler and delivers them.
type Broker struct {
	log           *slog.Logger
	http          *http.Client
	store         *store
	subscriptions []*subscription
	slots         map[string]chan struct{}

	mu      sync.Mutex
	running context.Context //nolint:containedctx // the life of Run, which deliveries are part of
	begun   map[uint64]bool // what was begun while Run begins, nil otherwise
	left    uint64          // the last of what Run began itself
	wg      sync.WaitGroup
}

// Open opens the broker whose events are stored in the file.
func Open(path string, o Options) (*Broker, error) {
	s, err := openStore(path)
	if err != nil {
		return nil, err
	}
	b := &Broker{log: o.Log, http: o.HTTP, store: s, slots: map[string]chan struct{}{}}
	for _, t := range o.Triggers {
		sub, err := newSubscription(t, o.Resolve)
		if err != nil {
			return nil, errors.Join(err, s.db.Close())
		}
		b.subscriptions = append(b.subscriptions, sub)
		b.slots[sub.name] = make(chan struct{}, parallel)
	}
	return b, nil
}

// Close closes the file. Run must have returned.
func (b *Broker) Close() error { return b.store.db.Close() }

// ServeHTTP takes an event: 202 means that it is on disk.
func (b *Broker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	event.Handler(
		b.log,
		func(ctx context.Context, ev cloudevents.Event) error { return b.publish(ctx, ev, 0) },
	).ServeHTTP(
		w,
		r,
	)
}

// Publish takes an event from within the process.
func (b *Broker) Publish(ctx context.Context, ev cloudevents.Event) error {
	return b.publish(ctx, ev, 0)
}

func (b *Broker) publish(ctx context.Context, ev cloudevents.Event, hops int) error {
	var list []*delivery
	for _, s := range b.subscriptions {
		if s.wants(ctx, ev) {
			list = append(list, &delivery{Trigger: s.name, Event: ev, Hops: hops})
		}
	}
	if len(list) == 0 {
		return nil
	}
	if err := b.store.add(list); err != nil {
		return err
	}
	for _, d := range list {
		b.start(d)
	}
	return nil
}

// Run delivers until the context ends, at first what a former process left. It
// returns when no delivery is under way any more.
func (b *Broker) Run(ctx context.Context) error {
	// What is published from here on begins by itself, maybe while the list is read.
	b.mu.Lock()
	b.running, b.begun = ctx, map[uint64]bool{}
	b.mu.Unlock()
	left, err := b.store.list(bucketQueue)
	b.mu.Lock()
	for _, d := range left {
		if !b.begun[d.id] {
			b.begin(d)
		}
		b.left = max(b.left, d.id)
	}
	b.begun = nil
	b.mu.Unlock()
	if err == nil {
		<-ctx.Done()
	}
	b.mu.Lock()
	b.running = nil
	b.mu.Unlock()
	b.wg.Wait()
	return err
}

// start begins a delivery, unless the broker does not run: then the delivery is
// on disk and the next Run begins it.
func (b *Broker) start(d *delivery) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running == nil || b.running.Err() != nil || d.id <= b.left {
		return
	}
	if b.begun != nil {
		b.begun[d.id] = true
	}
	b.begin(d)
}

// begin is called with the lock held.
func (b *Broker) begin(d *delivery) {
	ctx := b.running
	b.wg.Go(func() { b.deliver(ctx, d) })
}

// DeadLetters returns the events that no attempt could deliver.
func (b *Broker) DeadLetters() ([]cloudevents.Event, error) {
	list, err := b.store.list(bucketDead)
	if err != nil {
		return nil, err
	}
	events := make([]cloudevents.Event, len(list))
	for i, d := range list {
		events[i] = d.Event
	}
	return events, nil
}

// Pending returns how many deliveries are not done.
func (b *Broker) Pending() (int, error) {
	list, err := b.store.list(bucketQueue)
	return len(list), err
}
