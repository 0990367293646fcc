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
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/drogue"
	"github.com/drogue-iot/ajour/pkg/server"
	"github.com/drogue-iot/ajour/pkg/status"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

type envConfig struct {
	service.Config
	service.Replica
	service.Credentials
	service.Progress
	KeepLogs int           `envconfig:"KEEP_LOGS" default:"196608" desc:"bytes of the output of each step that are stored in a ConfigMap when a build has ended, as long as its run; none if 0. All of a build has to fit into 1 MiB when it is compressed, or none of it is stored"`
	Resync   time.Duration `envconfig:"RESYNC_INTERVAL" default:"30s" desc:"how often the objects of recent builds are read again, so how long a condition that vanished is missing"`
}

func main() {
	var c envConfig
	os.Exit(service.Main(&c, func(ctx context.Context) error { return run(ctx, c) }))
}

func run(ctx context.Context, c envConfig) error {
	common, err := c.Setup(ctx)
	if err != nil {
		return err
	}
	_, credentials, err := c.Identity(c.Transport, common.HTTP)
	if err != nil {
		return err
	}
	cluster, err := tekton.Connect(c.Namespace, common.Log)
	if err != nil {
		return err
	}
	runs, err := cluster.Client(tekton.Config{})
	if err != nil {
		return err
	}
	state := tekton.NewStore()
	reflector := cluster.Reflector(state, common.Log)
	options := status.Options{Log: common.Log, Clock: time.Now, Events: common.Incoming, Resync: c.Resync}
	if err := service.MeasureStatus(common.Metrics, &options); err != nil {
		return err
	}
	s := status.New(status.Deps{
		State: state, Runs: runs, Objects: drogue.New(c.Registry, common.HTTP, credentials), Sender: common.Sender,
	}, options)
	lead := func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return state.WhenSynced(ctx, s.Lead) })
		g.Go(func() error { return tekton.NewCounter(state, runs, c.Interval).Run(ctx) })
		g.Go(func() error { return cluster.Reaper(reflector, common.Log).Run(ctx) })
		g.Go(func() error {
			return state.WhenSynced(ctx, tekton.NewArchiver(state, runs, save(cluster, runs, c.KeepLogs), common.Log).Run)
		})
		return g.Wait()
	}
	lease := tekton.Lease{Namespace: c.PodNamespace, Name: "ajour-status", Identity: c.Pod}
	return server.Service{
		Handler: s, Ready: state.Ready, Metrics: common.Metrics, Traces: common.Traces, Log: common.Log,
		Loops: []func(context.Context) error{
			reflector.Run, s.Run, func(ctx context.Context) error { return cluster.Lead(ctx, lease, lead) },
		},
	}.Run(ctx, c.Port, c.MetricsPort)
}

// save returns what archives the output of a build, nil if nothing is to be archived.
func save(
	cluster *tekton.Cluster, runs *tekton.Client, most int,
) func(context.Context, build.Run) (build.Log, error) {
	if most <= 0 {
		return nil
	}
	archived := cluster.LogArchive(most)
	return func(ctx context.Context, r build.Run) (build.Log, error) { return archived.Save(ctx, runs, r) }
}
