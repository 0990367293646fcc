// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// lameDuck is how long a service that was asked to end goes on serving, while it
// says that it is not ready: load balancers learn of an end later than it does.
const lameDuck = 3 * time.Second

// Service is a process with one handler, its health and its metrics.
type Service struct {
	// Handler gets all calls but those of probes.
	Handler http.Handler
	// Ready tells why calls cannot be answered yet; always ready if nil.
	Ready func() error
	// Loops run beside the server until the context ends. When one of them
	// returns an error, the service ends.
	Loops []func(context.Context) error
	// Metrics are served at the second port; new ones if nil.
	Metrics *Metrics
	// Traces are closed at the end. May be nil.
	Traces *Traces
	Log    *slog.Logger
}

// Run serves at the port, and the metrics at the other one, until the context
// ends. Probes are answered at /healthz and /readyz of the first (Kubernetes'
// names). A port of 0 takes any free one.
func (s Service) Run(ctx context.Context, port, metricsPort int) error {
	var lc net.ListenConfig
	main, err := lc.Listen(ctx, "tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	side, err := lc.Listen(ctx, "tcp", fmt.Sprintf(":%d", metricsPort))
	if err != nil {
		return errors.Join(fmt.Errorf("listen for metrics: %w", err), main.Close())
	}
	return s.Serve(ctx, main, side)
}

// Serve is Run on listeners, which it closes.
func (s Service) Serve(ctx context.Context, main, side net.Listener) error {
	metrics := s.Metrics
	if metrics == nil {
		var err error
		if metrics, err = NewMetrics(); err != nil {
			return errors.Join(err, main.Close(), side.Close())
		}
	}
	defer s.Traces.Close(ctx)
	var ending atomic.Bool
	g, loops := errgroup.WithContext(ctx)
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	g.Go(func() error {
		defer end()
		<-loops.Done()
		ending.Store(true)
		if ctx.Err() != nil { // asked to end, and not ended by a failure
			<-time.After(lameDuck)
		}
		return nil
	})
	g.Go(func() error { return Run(serving, main, s.probes(&ending, metrics.Wrap(s.Handler)), s.Log) })
	g.Go(func() error { return Run(serving, side, metrics.Handler(), s.Log) })
	for _, loop := range s.Loops {
		g.Go(func() error { return loop(loops) })
	}
	s.Log.InfoContext(ctx, "serving", "address", main.Addr().String(), "metrics", side.Addr().String())
	return g.Wait()
}

func (s Service) ready(ending *atomic.Bool) error {
	if ending.Load() {
		return errors.New("the service ends")
	}
	if s.Ready == nil {
		return nil
	}
	return s.Ready()
}

func (s Service) probes(ending *atomic.Bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
			w.WriteHeader(http.StatusOK)
		case "/readyz":
			if err := s.ready(ending); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
			}
		default:
			next.ServeHTTP(w, r)
		}
	})
}
