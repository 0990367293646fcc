// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command builder is the service that turns events into PipelineRuns: see
// pkg/builder.
package main

import (
	"context"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/cmd/internal/service"
	"github.com/drogue-iot/ajour/pkg/builder"
	"github.com/drogue-iot/ajour/pkg/drogue"
	"github.com/drogue-iot/ajour/pkg/git/egress"
	"github.com/drogue-iot/ajour/pkg/server"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

type envConfig struct {
	service.Config
	service.Replica
	service.Credentials
	service.Policy
	service.Artifacts
	Schemes        string             `envconfig:"SOURCE_SCHEMES" default:"https,ssh" desc:"schemes that source may be fetched by, separated by commas: https, ssh, http"`
	Hosts          string             `envconfig:"SOURCE_HOSTS" desc:"the only hosts that source may be fetched from, separated by commas, *.NAME for all below one; all if empty"`
	Addresses      string             `envconfig:"SOURCE_ADDRESSES" default:"public" desc:"ranges of addresses that those hosts may have, separated by commas, such as 10.0.0.0/8; public for those of the public internet, any for all"`
	Secrets        tekton.Credentials `envconfig:"CREDENTIALS" default:"shared" desc:"whose credentials the steps of a build use, those of its application going before: shared for those of the installation, application for none else"`
	Layout         tekton.Layout      `envconfig:"BUILD_LAYOUT" default:"pod" desc:"pod: all steps of a build in one pod; tasks: a pod for each step, and a volume claim that they share, which needs a default StorageClass and takes twice as long. What no registry took can then be published again"`
	Storage        string             `envconfig:"BUILD_STORAGE" default:"4Gi" desc:"size of the volume claim of a build, with BUILD_LAYOUT=tasks. It stays until the PipelineRun of the build is deleted, see KEEP_BUILDS"`
	Requests       map[string]string  `envconfig:"BUILD_REQUESTS" desc:"what the container of a builder reserves with BUILD_LAYOUT=pod, as in cpu:2,memory:1Gi; 500m, 512Mi and ephemeral-storage 256Mi of what is not named"`
	Limits         map[string]string  `envconfig:"BUILD_LIMITS" desc:"what it may use, as in memory:8Gi,ephemeral-storage:20Gi; 4Gi and 8Gi of what is not named"`
	PullPolicy     tekton.PullPolicy  `envconfig:"BUILD_PULL_POLICY" desc:"when a builder image is pulled: Always, IfNotPresent or Never; if empty, as Kubernetes does by itself: always for the tag latest and none, else if the node has it not"`
	Proxies        bool               `envconfig:"BUILD_PROXY" default:"false" desc:"all steps of builds connect through the proxies that the Secret proxy of the namespace of builds names"`
	Keep           int                `envconfig:"KEEP_BUILDS" default:"20" desc:"how many builds of an object stay in the cluster that have ended, with their logs and volume claims; all if 0"`
	ServiceAccount string             `envconfig:"BUILD_SERVICE_ACCOUNT" default:"ajour-build" desc:"ServiceAccount of the pods of builds"`
	Applications   []string           `envconfig:"ALLOWED_APPLICATIONS" desc:"the only applications that may be built, separated by commas; all if empty"`
	Relist         time.Duration      `envconfig:"RELIST_INTERVAL" default:"10m" desc:"how often all objects of the registry are listed, for descriptions whose change was not heard of; never if 0"`
	IgnoreChanges  bool               `envconfig:"IGNORE_CHANGES" default:"false" desc:"build on calls only, not when a description changes"`
}

func main() {
	var c envConfig
	os.Exit(service.Main(&c, func(ctx context.Context) error { return run(ctx, c) }))
}

func run(ctx context.Context, c envConfig) error {
	sources := tekton.Sources{Schemes: c.Schemes, Hosts: c.Hosts, Addresses: c.Addresses}
	if _, err := egress.Parse(sources.Schemes, sources.Hosts, sources.Addresses); err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return err
	}
	policy, err := c.Policy.Policy()
	if err != nil {
		return err
	}
	s, err := c.Setup(ctx)
	if err != nil {
		return err
	}
	_, credentials, err := c.Identity(c.Transport, s.HTTP)
	if err != nil {
		return err
	}
	cluster, err := tekton.Connect(c.Namespace, s.Log)
	if err != nil {
		return err
	}
	runs, err := cluster.Client(c.tekton(sources))
	if err != nil {
		return err
	}
	state := tekton.NewStore()
	registry := drogue.New(c.Registry, s.HTTP, credentials)
	deps := builder.Deps{State: state, Runs: runs, Canceller: runs, Objects: registry, List: registry, Sender: s.Sender}
	options := builder.Options{
		Log: s.Log, Clock: time.Now, Events: s.Incoming, Applications: c.Applications, IgnoreChanges: c.IgnoreChanges,
		Policy: policy,
	}
	if err := service.MeasureQueue(s.Metrics, state.Each, time.Now); err != nil {
		return err
	}
	leader := builder.NewLeader(state, runs, builder.Limits{Keep: c.Keep}, time.Now, s.Log)
	relister := builder.NewRelister(deps, options, state, c.Relist)
	lead := func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return state.WhenSynced(ctx, leader.Run) })
		g.Go(func() error { return state.WhenSynced(ctx, relister.Run) })
		return g.Wait()
	}
	lease := tekton.Lease{Namespace: c.PodNamespace, Name: "ajour-builder", Identity: c.Pod}
	return server.Service{
		Handler: builder.New(deps, options), Ready: state.Ready, Metrics: s.Metrics, Traces: s.Traces, Log: s.Log,
		Loops: []func(context.Context) error{
			cluster.Reflector(state, s.Log).Run, func(ctx context.Context) error { return cluster.Lead(ctx, lease, lead) },
		},
	}.Run(ctx, c.Port, c.MetricsPort)
}

// tekton is how runs are made.
func (c envConfig) tekton(sources tekton.Sources) tekton.Config {
	return tekton.Config{
		Sources:        sources,
		RegistryPrefix: c.Prefix,
		PlainHTTP:      c.PlainHTTP,
		ServiceAccount: c.ServiceAccount,
		Layout:         c.Layout,
		Credentials:    c.Secrets,
		Storage:        c.Storage,
		PullPolicy:     c.PullPolicy,
		Proxies:        c.Proxies,
		Requests:       c.Requests,
		Limits:         c.Limits,
	}
}
