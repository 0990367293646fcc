// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command status is the service that writes the state of builds onto Drogue
// objects: see pkg/status.
package main

import (
	"context"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/cmd/internal/service"
	"github.com/drogue-iot/ajour/pkg/drogue"
	"github.com/drogue-iot/ajour/pkg/server"
	"github.com/drogue-iot/ajour/pkg/status"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

type envConfig struct {
	service.Config
	service.Credentials
	Repair    time.Duration `envconfig:"REPAIR_INTERVAL" default:"3s" desc:"how often all runs are looked at, so how long a lost event goes unnoticed"`
	Pod       string        `envconfig:"POD_NAME" required:"true" desc:"name of the pod, by which replicas elect the one that repairs"`
	Namespace string        `envconfig:"POD_NAMESPACE" required:"true" desc:"namespace of the service, which holds its Lease"`
}

func main() {
	var c envConfig
	os.Exit(service.Main(&c, func(ctx context.Context) error { return run(ctx, c) }))
}

func run(ctx context.Context, c envConfig) error {
	client := service.Client()
	events, err := c.Events(client)
	if err != nil {
		return err
	}
	runs, err := tekton.Connect(tekton.Config{Namespace: c.Config.Namespace})
	if err != nil {
		return err
	}
	log := c.Log()
	s := status.New(runs, drogue.New(c.Registry, client, c.Auth()), events, status.Options{Log: log, Clock: time.Now, Repair: c.Repair})
	sweeper, err := tekton.ConnectSweeper(c.Config.Namespace, log)
	if err != nil {
		return err
	}
	lead := func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return s.Run(ctx) })
		g.Go(func() error { return sweeper.Run(ctx) })
		return g.Wait()
	}
	lease := tekton.Lease{Namespace: c.Namespace, Name: "ajour-status", Identity: c.Pod}
	return server.Service{
		Handler: s, Log: log,
		Loops: []func(context.Context) error{func(ctx context.Context) error { return tekton.Lead(ctx, lease, lead) }},
	}.Run(ctx, c.Port, c.MetricsPort)
}
