// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package server runs HTTP servers: it listens, limits what a client can take
// up, and drains. It knows no business.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	// headerTimeout and maxHeader end slow and large headers. A token has at
	// most 8 KiB, the headers of an event with odd device names a little more.
	headerTimeout = 10 * time.Second
	maxHeader     = 64 << 10
	// idleTimeout ends connections that nobody uses.
	idleTimeout = 2 * time.Minute
	// grace is how long requests that are under way go on undisturbed, drain how
	// long they may take in all: after grace their contexts end, which ends a log
	// that is followed.
	grace = time.Second
	drain = 5 * time.Second
)

// Run serves on the listener until the context ends, then lets the requests
// that are under way finish, for a bounded time. It closes the listener.
func Run(ctx context.Context, ln net.Listener, h http.Handler, log *slog.Logger) error {
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	srv := &http.Server{
		BaseContext: func(net.Listener) context.Context { return requests },
		Handler:     h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	defer time.AfterFunc(grace, endRequests).Stop()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		// What still runs, such as a log that is followed, is cut off.
		_ = srv.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	return nil
}
