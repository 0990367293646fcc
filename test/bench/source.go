// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/sink"
	"github.com/drogue-iot/ajour/pkg/source"
)

const (
	sourceRecords = 200_000
	// maxSourceRatio is how much longer the source may take than a loop that only reads.
	maxSourceRatio = 2.0
	sourceRuns     = 3
)

// source measures how long the source takes for a topic, beside a loop of the same client that does
// nothing with what it reads. A build makes some twenty changes of status, which is all that there
// is if every device has a description of its own. Where an application has one for its devices, the
// update server adds some of each device.
func (b *bench) source(ctx context.Context) error {
	return errors.Join(
		b.topic(ctx, "registry topic, 1 in 20 relevant", 20),
		b.topic(ctx, "registry topic, 1 in 100 relevant", 100),
	)
}

func (b *bench) topic(ctx context.Context, name string, relevantOf int) error {
	if b.skips(name) {
		return nil
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "registry"))
	if err != nil {
		return err
	}
	defer cluster.Close()
	if err := produceChanges(ctx, cluster.ListenAddrs(), relevantOf); err != nil {
		return err
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
	}))
	defer srv.Close()
	var ours, bare []time.Duration
	for n := range sourceRuns {
		took, err := passOn(ctx, cluster.ListenAddrs(), "group-"+strconv.Itoa(n), srv.URL)
		if err != nil {
			return err
		}
		ours = append(ours, took)
		if took, err = poll(ctx, cluster.ListenAddrs()); err != nil {
			return err
		}
		bare = append(bare, took)
	}
	us, other := median(ours), median(bare)
	ratio := float64(us) / float64(other)
	fmt.Fprintf(
		b.out, "%-34s %5d %8.1fms %8.1fms %7.2f  %.1f%s\n", name, sourceRuns, ms(us), ms(other), ratio, maxSourceRatio,
		verdict(ratio <= maxSourceRatio),
	)
	return nil
}

func produceChanges(ctx context.Context, servers []string, relevantOf int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(servers...), kgo.MaxBufferedRecords(10_000))
	if err != nil {
		return err
	}
	defer client.Close()
	var failed atomic.Pointer[error]
	for n := range sourceRecords {
		subject := ".status.firmware"
		if n%relevantOf == 0 {
			subject = ".spec.firmware"
		}
		client.Produce(ctx, changeOf(n, subject), func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// changeOf is a change of a device as the registry writes it.
func changeOf(n int, subject string) *kgo.Record {
	device := "device-" + strconv.Itoa(n%1000)
	r := &kgo.Record{
		Topic: "registry", Key: []byte("drogue/greenhouse/" + device),
		Value: []byte(`{"revision":7,"uid":"0f8b3c52-5b1e-4d35-9f0d-7d3d6f6f2a11"}`),
	}
	for _, h := range [][2]string{
		{"ce_specversion", "1.0"},
		{"ce_id", strconv.Itoa(n)},
		{"ce_type", event.TypeDeviceChange},
		{"ce_source", "drogue:/drogue/greenhouse/" + device},
		{"content-type", "application/json"},
		{"ce_subject", subject},
		{"ce_time", "2026-11-24T02:18:09.230829504+00:00"},
		{"ce_partitionkey", "drogue/greenhouse/" + device},
		{"ce_instance", "drogue"},
		{"ce_application", "greenhouse"},
		{"ce_device", device},
	} {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
	}
	return r
}

// passOn runs the source until every record has an outcome.
func passOn(ctx context.Context, servers []string, group, broker string) (time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var n atomic.Int64
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512}}
	s, err := source.New(source.Kafka{
		Bootstrap: servers, Topic: "registry", Group: group, Protocol: source.Plaintext,
	}, source.Options{
		Log: slog.New(slog.DiscardHandler), Sender: sink.New(broker, client), Count: func(context.Context, string) {
			if n.Add(1) == sourceRecords {
				cancel()
			}
		},
	})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	err = s.Run(ctx)
	return time.Since(began), err
}

const (
	// outageEvery is how often a change comes while the broker is away.
	outageEvery = 20 * time.Millisecond
	// maxCatchUp is how long the source may take to be up to date after that.
	maxCatchUp = time.Minute
)

// outage measures how long the source takes to be up to date after the broker was away for a while.
func (b *bench) outage(ctx context.Context) error {
	name := fmt.Sprintf("lag after %s without a broker", b.away)
	if b.skips(name) {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "registry"))
	if err != nil {
		return err
	}
	defer cluster.Close()
	var back atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if back.Load() {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer srv.Close()
	s, err := source.New(source.Kafka{
		Bootstrap: cluster.ListenAddrs(), Topic: "registry", Group: "ajour", Protocol: source.Plaintext,
	}, source.Options{
		Log: slog.New(slog.DiscardHandler), Sender: sink.New(srv.URL, http.DefaultClient),
		Count: func(context.Context, string) {},
	})
	if err != nil {
		return err
	}
	var running errgroup.Group
	running.Go(func() error { return s.Run(ctx) })
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		return err
	}
	defer client.Close()
	changes := 0
	for tick, end := time.NewTicker(outageEvery), time.Now().Add(b.away); time.Now().Before(end); changes++ {
		<-tick.C
		if err := client.ProduceSync(ctx, changeOf(changes, ".spec.firmware")).FirstErr(); err != nil {
			return err
		}
	}
	back.Store(true)
	began := time.Now()
	for lag := int64(1); lag > 0 && time.Since(began) < 2*maxCatchUp; time.Sleep(100 * time.Millisecond) {
		if lag, err = s.Lag(ctx); err != nil {
			return err
		}
	}
	took := time.Since(began)
	fmt.Fprintf(
		b.out, "%-34s %5d %8.1fs  %10s %7s  %.0fs%s\n", name, changes, took.Seconds(), "", "", maxCatchUp.Seconds(),
		verdict(took <= maxCatchUp),
	)
	cancel()
	return running.Wait()
}

// poll reads the topic.
func poll(ctx context.Context, servers []string) (time.Duration, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(servers...), kgo.ConsumeTopics("registry"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	began := time.Now()
	for n := 0; n < sourceRecords; {
		fetches := client.PollRecords(ctx, 500)
		if err := fetches.Err(); err != nil {
			return 0, err
		}
		n += fetches.NumRecords()
	}
	return time.Since(began), nil
}
