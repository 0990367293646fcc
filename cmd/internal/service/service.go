// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package service holds what the programs of the three services have in common:
// the configuration that each of them reads, their log, and their life.
package service

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/drogue-iot/ajour/pkg/drogue"
	"github.com/drogue-iot/ajour/pkg/sink"
)

// callTimeout bounds a call to another service.
const callTimeout = 30 * time.Second

// Config is read by every service.
type Config struct {
	Port        int        `envconfig:"PORT" default:"8080" desc:"port of the HTTP server; set by Knative Serving"`
	MetricsPort int        `envconfig:"METRICS_PORT" default:"9090" desc:"port that answers /metrics for Prometheus"`
	LogLevel    slog.Level `envconfig:"LOG_LEVEL" default:"info" desc:"debug, info, warn or error"`
	Sink        string     `envconfig:"K_SINK" required:"true" desc:"URL that events are sent to; set by a SinkBinding"`
	Overrides   string     `envconfig:"K_CE_OVERRIDES" desc:"extensions for every event that is sent, as JSON; set by a SinkBinding"`
	Registry    string     `envconfig:"REGISTRY_URL" required:"true" desc:"base URL of the Drogue device registry"`
	Namespace   string     `envconfig:"BUILD_NAMESPACE" default:"ajour-builds" desc:"namespace of the PipelineRuns"`
}

// Credentials are those of a service that acts on its own behalf.
type Credentials struct {
	User  string `envconfig:"DROGUE_USER" required:"true" desc:"user of the Drogue registry that the service acts as"`
	Token string `envconfig:"DROGUE_TOKEN" required:"true" desc:"personal access token of that user"`
}

// Auth returns what authenticates calls to the registry.
func (c Credentials) Auth() drogue.Auth { return drogue.Basic(c.User, c.Token) }

// Client returns a client for calls to other services.
func Client() *http.Client {
	return &http.Client{Timeout: callTimeout, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, IdleConnTimeout: time.Minute,
		MaxIdleConnsPerHost: 64, // there are few hosts, and many calls at a time
	}}
}

// Events returns the sink of the service's events.
func (c Config) Events(client *http.Client) (*sink.Sink, error) {
	overrides, err := sink.ParseOverrides(c.Overrides)
	if err != nil {
		return nil, fmt.Errorf("K_CE_OVERRIDES: %w", err)
	}
	return sink.New(c.Sink, client).With(overrides), nil
}

// Log writes JSON lines to standard error.
func (c Config) Log() *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: c.LogLevel}))
}

// Main reads the configuration into the pointer, and runs until a signal comes
// or run fails. It returns the exit code: 2 for a wrong configuration.
func Main(config any, run func(context.Context) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills at once
	if err := envconfig.Process("", config); err != nil {
		fmt.Fprintln(os.Stderr, err)
		_ = envconfig.Usagef("", config, os.Stderr, envconfig.DefaultListFormat) // says the same again, at length
		return 2
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
