// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command notify shows on commits how the builds of them stand: see pkg/notify.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/drogue-iot/ajour/cmd/internal/service"
	"github.com/drogue-iot/ajour/pkg/notify"
	"github.com/drogue-iot/ajour/pkg/server"
)

type envConfig struct {
	service.Process
	service.Keys
	service.Transport
	Forges string        `envconfig:"FORGES" required:"true" desc:"forges that get a status of commits, separated by commas: github=URL, gitlab=URL, or gitea=URL for Gitea and Forgejo"`
	Tokens notify.Folder `envconfig:"FORGE_TOKENS" default:"/commit-status" desc:"folder with a file for each forge, called as its host, with a token that may set the status of commits; and ca.crt, CAs of forges beside those of the system. Tokens are read for each call"`
	Builds string        `envconfig:"BUILDS_URL" desc:"URL that builds are below: a status links to BUILDS_URL/builds/ID; to nothing if empty"`
}

func main() {
	var c envConfig
	os.Exit(service.Main(&c, func(ctx context.Context) error { return run(ctx, c) }))
}

func run(ctx context.Context, c envConfig) error {
	forges, err := notify.ParseForges(c.Forges, c.AllowHTTP)
	if err == nil && len(forges) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return fmt.Errorf("FORGES: %w", err)
	}
	s, err := c.Process.Setup(ctx)
	if err != nil {
		return err
	}
	if err := c.Add(&s); err != nil {
		return err
	}
	roots, err := c.Tokens.Roots()
	if err != nil {
		return err
	}
	count, err := s.Metrics.Counter(
		"ajour.commit.statuses",
		"Builds by what became of the status of their commit.",
		"outcome",
	)
	if err != nil {
		return err
	}
	return server.Service{
		Handler: notify.New(
			&http.Transport{
				Proxy:           http.ProxyFromEnvironment,
				TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			},
			notify.Options{
				Log: s.Log, Events: s.Incoming, Forges: forges, Tokens: c.Tokens, Builds: c.Builds,
				Count: func(ctx context.Context, outcome string) { count(ctx, outcome) },
			},
		),
		Metrics: s.Metrics, Traces: s.Traces, Log: s.Log,
	}.Run(ctx, c.Port, c.MetricsPort)
}
