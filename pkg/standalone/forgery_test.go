// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/event/eventtest"
)

// assembled returns all parts, which do not run.
func assembled(t *testing.T) *process {
	t.Helper()
	o := Options{Dir: t.TempDir(), Step: "false", Log: slog.New(slog.DiscardHandler)}
	p, err := assemble(o, "127.0.0.1:1", "127.0.0.1:2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		if err := errors.Join(p.status.Run(ended), p.close()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// TestForgedEventsChangeNothing posts them to the address that the parts use among themselves,
// as any program of this machine could.
func TestForgedEventsChangeNothing(t *testing.T) {
	t.Parallel()
	p := assembled(t)
	srv := httptest.NewServer(p.internal())
	t.Cleanup(srv.Close)
	victim := eventtest.Victim{Key: eventtest.Key, ID: eventtest.ID, Object: build.ObjectRef{Application: "victim"}}
	for how, events := range victim.Forged(t, time.Now()) {
		for _, ev := range events {
			for _, path := range []string{pathBuilder, pathStatus, pathStatus + "/dead-letters"} {
				reply, err := event.Send(t.Context(), srv.Client(), srv.URL+path, ev)
				// What is believed is about an application that does not exist, in a registry that
				// does not answer: it would be deferred.
				if err != nil || reply.Status != http.StatusAccepted {
					t.Errorf("%s, %s to %s: %v %v", ev.Type(), how, path, reply, err)
				}
			}
		}
	}
	if runs := p.state.List(build.Query{}); len(runs) > 0 {
		t.Error(runs)
	}
}

// TestTheInternalAddressIsForThisMachine: a page in a browser can point its own name here.
func TestTheInternalAddressIsForThisMachine(t *testing.T) {
	t.Parallel()
	p := assembled(t)
	for host, want := range map[string]int{
		"127.0.0.1:2": http.StatusBadRequest, "evil.example:2": http.StatusMisdirectedRequest,
	} {
		req := httptest.NewRequest(http.MethodPost, "http://"+host+pathBuilder, nil)
		rec := httptest.NewRecorder()
		p.internal().ServeHTTP(rec, req)
		if rec.Code != want {
			t.Errorf("%s: %d", host, rec.Code)
		}
	}
}
