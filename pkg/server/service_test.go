// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drogue-iot/ajour/pkg/server"
)

// listen opens a port for a service.
func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func get(t *testing.T, ln net.Listener, path string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := client.Get("http://" + ln.Addr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(data)
}

// TestAServiceTellsHowItIs: probes, metrics of the calls, and a last while in which
// it serves although it is not ready any more.
func TestAServiceTellsHowItIs(t *testing.T) {
	main, side := listen(t), listen(t)
	var ready atomic.Bool
	s := server.Service{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
		Ready: func() error {
			if !ready.Load() {
				return errors.New("no keys yet")
			}
			return nil
		},
		Loops: []func(context.Context) error{func(ctx context.Context) error { <-ctx.Done(); return nil }},
		Log:   slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, main, side) }()
	want := func(path string, status int, text string) {
		t.Helper()
		if got, body := get(t, main, path); got != status || !strings.Contains(body, text) {
			t.Errorf("%s: %d %s, want %d %s", path, got, body, status, text)
		}
	}
	want("/healthz", 200, "")
	want("/readyz", 503, "no keys yet")
	ready.Store(true)
	want("/readyz", 200, "")
	want("/anything", 418, "")
	if _, metrics := get(t, side, "/metrics"); !strings.Contains(metrics, `http_response_status_code="418"`) ||
		!strings.Contains(metrics, "go_goroutines") {
		t.Error(metrics)
	}
	cancel()
	for status := 200; status != 503; { // the end has to be noticed first
		status, _ = get(t, main, "/readyz")
	}
	want("/anything", 418, "")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestAServiceEndsWithItsLoops: a loop that fails ends the process at once, so
// that it is started anew.
func TestAServiceEndsWithItsLoops(t *testing.T) {
	failure := errors.New("broken")
	s := server.Service{
		Handler: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler),
		Loops: []func(context.Context) error{func(context.Context) error { return failure }},
	}
	if err := s.Serve(t.Context(), listen(t), listen(t)); !errors.Is(err, failure) {
		t.Error(err)
	}
}
