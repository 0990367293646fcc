// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package source passes the changes of the Drogue registry on from its topic in Kafka to the broker
// (contract 3).
//
// Offsets are committed when the broker has taken an event, so the last change of an object is passed
// on at least once: whoever gets it reads the object, and builds a description once. Most of the topic are the changes
// of status that the project makes itself, which are dropped by a header.
package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/sink"
)

const (
	// maxBatch is how many records are passed on between two commits.
	maxBatch = 2000
	// maxSends is how many changes are passed on at the same time.
	maxSends = 16
	// pollWithin bounds how long a poll waits for records: between them it is asked whether Kafka
	// is there.
	pollWithin = 5 * time.Second
	// maxFetch and maxPartitionFetch bound what is fetched ahead, in bytes as they are stored: a
	// compressed batch is many times larger in memory.
	maxFetch          = 1 << 20
	maxPartitionFetch = 64 << 10
	// rebalanceTimeout is how long a replica may take for a batch before the group goes on
	// without it. Heartbeats go on meanwhile.
	rebalanceTimeout = time.Minute
	// sessionTimeout is how long the group waits for a replica that died.
	sessionTimeout = 15 * time.Second
	// maxWait is the longest pause while the broker, or Kafka, is away.
	maxWait = 30 * time.Second
)

// Outcomes of a record, as the metric has them.
const (
	// Sent is one that the broker has taken.
	Sent = "sent"
	// Irrelevant is a change that cannot concern a build description.
	Irrelevant = "irrelevant"
	// Superseded is one that a later change of the same object, read with it, was sent in place of.
	Superseded = "superseded"
	// Malformed is no change of the registry, and will never be one.
	Malformed = "malformed"
	// Refused is one that the broker does not take, however often it comes.
	Refused = "refused"
)

// Options configure a [Source].
type Options struct {
	Log *slog.Logger
	// Sender hands an event to the broker. A [*sink.RefusedError] is final, other than 401 and 403;
	// every other error is repeated until the broker is back.
	Sender event.Sender
	// Count counts records by their outcome.
	Count func(ctx context.Context, outcome string)
}

// Source reads the topic as a member of a consumer group.
type Source struct {
	Options
	client *kgo.Client
	topic  string
	group  string

	mu    sync.Mutex
	state error // why nothing is read, nil if the topic is
}

var errStarting = errors.New("no answer of Kafka yet")

// New connects when it runs. The error is that of a wrong configuration.
func New(c Kafka, o Options) (*Source, error) {
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(
		opts,
		kgo.ConsumeTopics(c.Topic),
		kgo.ConsumerGroup(c.Group),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.RebalanceTimeout(
			rebalanceTimeout,
		),
		kgo.SessionTimeout(sessionTimeout),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(500*time.Millisecond), kgo.FetchMaxBytes(maxFetch),
		kgo.FetchMaxPartitionBytes(maxPartitionFetch), kgo.MaxConcurrentFetches(1),
	)...)
	if err != nil {
		return nil, fmt.Errorf("configure Kafka: %w", err)
	}
	return &Source{Options: o, client: client, topic: c.Topic, group: c.Group, state: errStarting}, nil
}

// Ready returns why the topic is not read.
func (s *Source) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Run passes changes on until the context ends, and leaves the group then.
func (s *Source) Run(ctx context.Context) error {
	defer s.client.CloseAllowingRebalance()
	for {
		polling, stop := context.WithTimeout(ctx, pollWithin)
		fetches := s.client.PollRecords(polling, maxBatch)
		stop()
		if ctx.Err() != nil {
			return nil
		}
		if err := s.report(ctx, fetches); err != nil {
			pause(ctx, time.Second) // the client has repeated what can be repeated
		}
		if err := s.passAll(ctx, fetches); err != nil {
			return nil // the context has ended
		}
		if records := fetches.Records(); len(records) > 0 {
			// A commit that fails is made up for by the next one, or the records come once more.
			if err := s.client.CommitRecords(ctx, records...); err != nil && ctx.Err() == nil {
				s.Log.WarnContext(ctx, "offsets are not committed", "error", err)
			}
		}
		s.client.AllowRebalance()
	}
}

// report records whether the topic is read, and returns why not.
func (s *Source) report(ctx context.Context, fetches kgo.Fetches) error {
	var err error
	fetches.EachError(func(topic string, partition int32, e error) {
		if !errors.Is(e, context.DeadlineExceeded) { // that of the poll
			err = fmt.Errorf("read topic %s, partition %d: %w", topic, partition, e)
		}
	})
	if err == nil && fetches.NumRecords() == 0 && s.Ready() != nil {
		asking, stop := context.WithTimeout(ctx, pollWithin)
		defer stop()
		err = s.client.Ping(asking)
	}
	s.mu.Lock()
	before := s.state
	s.state = err
	s.mu.Unlock()
	switch {
	case err != nil:
		s.Log.WarnContext(ctx, "registry changes are not read", "error", err)
	case before != nil:
		s.Log.InfoContext(ctx, "registry changes are read", "topic", s.topic, "group", s.group)
	}
	return err
}

// change is a record that may concern a build description.
type change struct {
	record *kgo.Record
	event  cloudevents.Event
}

// passAll passes the last change of each object on, all at the same time. Whoever gets it reads the
// object, and so has those before it. One that the broker refuses for good is skipped with those, which
// differ from it in nothing that a broker checks.
func (s *Source) passAll(ctx context.Context, fetches kgo.Fetches) error {
	last := map[build.ObjectRef]change{}
	fetches.EachRecord(func(r *kgo.Record) {
		if !relevant(r) {
			s.Count(ctx, Irrelevant)
			return
		}
		ev, object, err := decode(r)
		if err != nil {
			s.skip(ctx, r, Malformed, err)
			return
		}
		if _, ok := last[object]; ok {
			s.Count(ctx, Superseded)
		}
		last[object] = change{r, ev}
	})
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxSends)
	for _, c := range last {
		g.Go(func() error { return s.pass(ctx, c) })
	}
	return g.Wait()
}

// pass passes one change on. It returns an error if the context ends before.
func (s *Source) pass(ctx context.Context, c change) error {
	wait := backoff.NewExponentialBackOff()
	wait.MaxInterval = maxWait
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := s.Sender.Send(ctx, c.event)
		if final(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, d time.Duration) {
		s.Log.WarnContext(ctx, "the broker does not take a change", "error", err, "wait", d.String())
	}))
	switch {
	case err == nil:
		s.Count(ctx, Sent)
	case final(err):
		s.skip(ctx, c.record, Refused, err)
	default:
		return err
	}
	return nil
}

// final reports whether the broker does not take an event, however often it comes. That it does not
// know us is a fault of its configuration, and none of the event.
func final(err error) bool {
	var refused *sink.RefusedError
	return errors.As(err, &refused) && refused.Status != http.StatusUnauthorized && refused.Status != http.StatusForbidden
}

func (s *Source) skip(ctx context.Context, r *kgo.Record, outcome string, err error) {
	s.Count(ctx, outcome)
	s.Log.WarnContext(
		ctx,
		"record skipped",
		"outcome",
		outcome,
		"topic",
		r.Topic,
		"partition",
		r.Partition,
		"offset",
		r.Offset,
		"error",
		err,
	)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
