// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package service holds what the programs of the three services have in common:
// the configuration that each of them reads, their log, and their life.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/server"
	"github.com/drogue-iot/ajour/pkg/sink"
)

const (
	// callTimeout bounds a call to a different service.
	callTimeout = 30 * time.Second
	// connections is how many idle connections to one host stay open. There are few hosts and
	// many calls at a time; a new TLS connection costs more than all else of a call.
	connections = 512
)

// Process is what every program of a service reads.
type Process struct {
	Port        int        `envconfig:"PORT" default:"8080" desc:"port of the HTTP server; set by Knative Serving"`
	MetricsPort int        `envconfig:"METRICS_PORT" default:"9090" desc:"port that answers /metrics for Prometheus"`
	LogLevel    slog.Level `envconfig:"LOG_LEVEL" default:"info" desc:"debug, info, warn or error"`
	Traces      string     `envconfig:"OTEL_EXPORTER_OTLP_ENDPOINT" desc:"base URL of an OpenTelemetry collector that takes traces by OTLP over HTTP, as http://collector:4318; no traces if empty. The further variables of OpenTelemetry count, too, such as OTEL_TRACES_SAMPLER"`
	MemoryLimit int64      `envconfig:"MEMORY_LIMIT" desc:"memory limit of the container in bytes, nine tenths of which become that of the Go runtime; GOMEMLIMIT if unset"`
}

// Base is what those read that send events.
type Base struct {
	Process
	Sink      string `envconfig:"K_SINK" required:"true" desc:"URL that events are sent to; set by a SinkBinding"`
	Overrides string `envconfig:"K_CE_OVERRIDES" desc:"extensions for every event that is sent, as JSON; set by a SinkBinding"`
}

// Keys are read by those that send or receive events of our own.
type Keys struct {
	EventKey  string `envconfig:"EVENT_KEY" required:"true" desc:"key that events are signed with, the same for all services, at least 32 bytes"`
	FormerKey string `envconfig:"EVENT_KEY_PREVIOUS" desc:"former key, which is accepted besides while keys are rotated"`
}

// Transport is read by those that send tokens.
type Transport struct {
	AllowHTTP bool `envconfig:"ALLOW_HTTP" default:"false" desc:"take REGISTRY_URL, ISSUER_URL and FORGES that begin with http://, by which tokens travel for everybody to read"`
}

// Config is what the services read that build, or tell of builds.
type Config struct {
	Base
	Keys
	Transport
	Registry  string `envconfig:"REGISTRY_URL" required:"true" desc:"base URL of the Drogue device registry"`
	Namespace string `envconfig:"BUILD_NAMESPACE" default:"ajour-builds" desc:"namespace of the PipelineRuns"`
}

// Replica is read by services that elect a leader among their replicas.
type Replica struct {
	Pod          string `envconfig:"POD_NAME" required:"true" desc:"name of the pod, by which replicas elect their leader"`
	PodNamespace string `envconfig:"POD_NAMESPACE" required:"true" desc:"namespace of the service, which holds its Lease"`
}

// Policy is read by the services that read descriptions.
type Policy struct {
	Images      build.Ownership `envconfig:"IMAGE_POLICY" default:"application" desc:"application: an application publishes to images of its own name and below; any: to every image below the prefix, those of others too"`
	Controllers build.Ownership `envconfig:"CONTROLLER_POLICY" default:"application" desc:"the same for hawkBit: a controller is called as the application, or begins with its name and one of : _ @ ~"`
	Builders    []string        `envconfig:"ALLOWED_BUILDERS" desc:"the only builder images that may run, separated by commas: references, names without a tag, or beginnings of them up to a slash; all if empty"`
	MaxTimeout  time.Duration   `envconfig:"MAX_TIMEOUT" default:"24h" desc:"longest timeout that a description may ask for, 24h at most"`
}

// Policy returns what may be built, or an error for values that mean nothing.
func (p Policy) Policy() (build.Policy, error) {
	if p.MaxTimeout < time.Second || p.MaxTimeout > 24*time.Hour {
		return build.Policy{}, fmt.Errorf("MAX_TIMEOUT: %s is out of range: use 1s to 24h", p.MaxTimeout)
	}
	for i, entry := range p.Builders {
		if p.Builders[i] = strings.TrimSpace(entry); p.Builders[i] == "" {
			return build.Policy{}, errors.New("ALLOWED_BUILDERS: an entry is empty: remove the comma")
		}
	}
	return build.Policy{Images: p.Images, Controllers: p.Controllers, Builders: p.Builders, MaxTimeout: p.MaxTimeout}, nil
}

// Common is what every service works with.
type Common struct {
	Log     *slog.Logger
	HTTP    *http.Client
	Metrics *server.Metrics
	Traces  *server.Traces
	// Sender signs events and sends them to the sink.
	Sender event.Sender
	// Incoming verifies events.
	Incoming event.Options
}

// Progress says how the progress of builds moves.
type Progress struct {
	Interval time.Duration `envconfig:"PROGRESS_INTERVAL" default:"5s" desc:"how often the progress of builds that run is looked at: by the time that they have taken, and by what their builders count"`
}

// CheckURL refuses the URL of a variable that tokens are not safe with.
func (t Transport) CheckURL(name, address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%s: %q is no URL: write https://HOST", name, address)
	case u.Scheme == "http" && !t.AllowHTTP:
		return fmt.Errorf("%s: tokens would be sent to %q unencrypted: use https, or set ALLOW_HTTP=true", name, address)
	default:
		return nil
	}
}

// Setup makes what a service is made of, but for what has to do with events.
func (p Process) Setup(ctx context.Context) (s Common, err error) {
	if p.MemoryLimit > 0 {
		debug.SetMemoryLimit(p.MemoryLimit / 10 * 9)
	}
	s.Log = slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: p.LogLevel}))
	s.HTTP = &http.Client{Timeout: callTimeout, Transport: server.Transport(&http.Transport{
		Proxy: http.ProxyFromEnvironment, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: connections,
	})}
	if s.Metrics, err = server.NewMetrics(); err != nil {
		return s, err
	}
	s.Traces, err = server.NewTraces(ctx, filepath.Base(os.Args[0]), p.Traces != "")
	return s, err
}

// Setup adds a sender, which leaves events unsigned.
func (b Base) Setup(ctx context.Context) (s Common, err error) {
	if s, err = b.Process.Setup(ctx); err != nil {
		return s, err
	}
	overrides, err := sink.ParseOverrides(b.Overrides)
	if err != nil {
		return s, fmt.Errorf("K_CE_OVERRIDES: %w", err)
	}
	s.Sender = sink.New(b.Sink, s.HTTP).With(overrides)
	return s, nil
}

// Add adds what the keys are for: the verification of events, and signatures if events are sent.
func (k Keys) Add(s *Common) error {
	keys, err := event.NewKeys(k.EventKey, k.FormerKey)
	if err != nil {
		return fmt.Errorf("EVENT_KEY: %w", err)
	}
	if s.Sender != nil {
		s.Sender = keys.Signed(s.Sender)
	}
	dropped, err := s.Metrics.Counter(
		"ajour.events.dropped", "Events that were not believed, by type and reason.", "type", "reason",
	)
	if err != nil {
		return err
	}
	s.Incoming = event.Options{
		Log:     s.Log,
		Keys:    keys,
		Clock:   time.Now,
		Dropped: func(ctx context.Context, kind, why string) { dropped(ctx, kind, why) },
	}
	return nil
}

// Setup makes what every service works with.
func (c Config) Setup(ctx context.Context) (s Common, err error) {
	if err := c.CheckURL("REGISTRY_URL", c.Registry); err != nil {
		return s, err
	}
	if s, err = c.Base.Setup(ctx); err != nil {
		return s, err
	}
	return s, c.Add(&s)
}

// Main reads the configuration into the pointer, and runs until a signal comes
// or run fails. It returns the exit code: 2 for a wrong configuration.
func Main(config any, run func(context.Context) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills at once
	if err := envconfig.Process("", config); err != nil {
		fmt.Fprintln(os.Stderr, err)
		_ = envconfig.Usagef("", config, os.Stderr, envconfig.DefaultListFormat) // repeats it at length
		return 2
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
