// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command api is the service that people and their tools call: see pkg/api.
package main

import (
	"context"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/drogue-iot/ajour/cmd/internal/service"
	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/auth"
	"github.com/drogue-iot/ajour/pkg/drogue"
	"github.com/drogue-iot/ajour/pkg/server"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

type envConfig struct {
	service.Config
	Issuer       string   `envconfig:"ISSUER_URL" required:"true" desc:"OIDC issuer of access tokens, exactly as in their claim iss"`
	ClientID     string   `envconfig:"CLIENT_ID" default:"drogue" desc:"audience that access tokens must have, and client whose role trigger-build counts"`
	Clients      []string `envconfig:"ALLOWED_CLIENTS" desc:"OAuth clients (azp) whose tokens are accepted, separated by commas; CLIENT_ID alone if empty"`
	Applications []string `envconfig:"ALLOWED_APPLICATIONS" desc:"the only applications that may be built, separated by commas; all if empty"`
	Origins      []string `envconfig:"ALLOWED_ORIGINS" desc:"origins that may call from a browser, separated by commas; none if empty"`
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
	runs, err := tekton.Connect(tekton.Config{Namespace: c.Namespace})
	if err != nil {
		return err
	}
	log := c.Log()
	verifier := auth.New(auth.Options{Issuer: c.Issuer, Audience: c.ClientID, Clients: c.Clients})
	// Calls to the registry are made on behalf of the caller, never as ourselves.
	registry := drogue.New(c.Registry, client, drogue.Bearer(""))
	return server.Service{
		Handler: api.New(verifier, registry, runs, events, api.Options{
			Log: log, Clock: time.Now, NewID: func() string { return uuid.Must(uuid.NewV7()).String() },
			Applications: c.Applications, Origins: c.Origins,
		}),
		Ready: verifier.Ready, Loops: []func(context.Context) error{verifier.Run}, Log: log,
	}.Run(ctx, c.Port, c.MetricsPort)
}
