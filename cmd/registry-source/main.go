// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command registry-source passes changes of the Drogue registry on from Kafka: see pkg/source.
package main

import (
	"context"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/drogue-iot/ajour/cmd/internal/service"
	"github.com/drogue-iot/ajour/pkg/server"
	"github.com/drogue-iot/ajour/pkg/source"
)

type envConfig struct {
	service.Base
	Bootstrap []string        `envconfig:"KAFKA_BOOTSTRAP_SERVERS" desc:"first servers of Kafka to ask, HOST:PORT, separated by commas; if empty, changes of descriptions are found every RELIST_INTERVAL only"`
	Topic     string          `envconfig:"KAFKA_TOPIC" default:"registry" desc:"topic of the Drogue registry"`
	Group     string          `envconfig:"KAFKA_GROUP" default:"ajour" desc:"consumer group, a different one for each installation"`
	Protocol  source.Protocol `envconfig:"KAFKA_SECURITY_PROTOCOL" default:"SASL_SSL" desc:"as Kafka calls it: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"`
	Folder    string          `envconfig:"KAFKA_CREDENTIALS" default:"/kafka" desc:"folder with the files user and password, sasl.mechanism (SCRAM-SHA-512 without it) and ca.crt (CAs of the system without it); user and password are read for each connection"`
}

func main() {
	var c envConfig
	os.Exit(service.Main(&c, func(ctx context.Context) error { return run(ctx, c) }))
}

func run(ctx context.Context, c envConfig) error {
	s, err := c.Setup(ctx)
	if err != nil {
		return err
	}
	svc := server.Service{Handler: http.NotFoundHandler(), Metrics: s.Metrics, Traces: s.Traces, Log: s.Log}
	if len(c.Bootstrap) == 0 {
		s.Log.WarnContext(
			ctx,
			"KAFKA_BOOTSTRAP_SERVERS is empty: changes of descriptions are found by the builder's lists only",
		)
		return svc.Run(ctx, c.Port, c.MetricsPort)
	}
	var lag atomic.Int64
	lag.Store(-1)
	count, err := service.MeasureSource(s.Metrics, lag.Load)
	if err != nil {
		return err
	}
	src, err := source.New(source.Kafka{
		Bootstrap: c.Bootstrap, Topic: c.Topic, Group: c.Group, Protocol: c.Protocol, Folder: c.Folder,
	}, source.Options{
		Log: s.Log, Sender: s.Sender, Count: count,
	})
	if err != nil {
		return err
	}
	svc.Ready = src.Ready
	svc.Loops = []func(context.Context) error{src.Run, func(ctx context.Context) error { return measure(ctx, src, &lag) }}
	return svc.Run(ctx, c.Port, c.MetricsPort)
}

// measureEvery is how often the lag is read.
const measureEvery = 15 * time.Second

// measure reads the lag until the context ends. One that cannot be read is -1.
func measure(ctx context.Context, src *source.Source, lag *atomic.Int64) error {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		n, err := src.Lag(ctx)
		if err != nil {
			n = -1
		}
		lag.Store(n)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
