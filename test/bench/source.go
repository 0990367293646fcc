// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/sink"
	"github.com/drogue-iot/ajour/pkg/source"
)

const (
	// sourceRecords are in the topic. One in twenty is a change of a description: a build makes
	// some twenty changes of status.
	sourceRecords = 200_000
	relevantOf    = 20
	// maxSourceRatio is how much longer the source may take than a loop that only reads.
	maxSourceRatio = 2.0
	sourceRuns     = 3
)

// source measures how long the source takes for a topic, beside a loop of the same client that does
// nothing with what it reads.
func (b *bench) source(ctx context.Context) error {
	const name = "registry's topic, 200,000 records"
	if b.skips(name) {
		return nil
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "registry"))
	if err != nil {
		return err
	}
	defer cluster.Close()
	if err := produceChanges(ctx, cluster.ListenAddrs()); err != nil {
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

func produceChanges(ctx context.Context, servers []string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(servers...), kgo.MaxBufferedRecords(10_000))
	if err != nil {
		return err
	}
	defer client.Close()
	var failed atomic.Pointer[error]
	for n := range sourceRecords {
		subject, device := ".status.firmware", "device-"+strconv.Itoa(n%1000)
		if n%relevantOf == 0 {
			subject = ".spec.firmware"
		}
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
		client.Produce(ctx, r, func(_ *kgo.Record, err error) {
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
