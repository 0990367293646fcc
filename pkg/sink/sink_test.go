// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package sink_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/sink"
)

func TestSend(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		statuses []int // of the attempts, the last one for all further ones
		attempts int
		ok       bool
	}{
		{"an event that is taken is sent once", []int{202}, 1, true},
		{"a broker that stumbles is tried again with the same id", []int{503, 500, 202}, 3, true},
		{"too many requests are tried again", []int{429, 202}, 2, true},
		{"a refusal is final", []int{400}, 1, false},
		{"a broker that stays away is given up", []int{503}, 5, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var ids []string
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ev, err := event.Receive(w, r)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				ids = append(ids, ev.ID())
				w.WriteHeader(tt.statuses[min(len(ids), len(tt.statuses))-1])
			}))
			defer srv.Close()
			ev := cloudevents.NewEvent()
			ev.SetID("1")
			ev.SetType("t")
			ev.SetSource("/s")
			err := sink.New(srv.URL, &http.Client{Timeout: time.Second}).Send(t.Context(), ev)
			if (err == nil) != tt.ok {
				t.Error(err)
			}
			want := make([]string, tt.attempts)
			for i := range want {
				want[i] = "1"
			}
			if diff := cmp.Diff(want, ids); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOverridesAreOnEveryEvent(t *testing.T) {
	t.Parallel()
	got := make(chan any, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ev, err := event.Receive(w, r); err == nil {
			got <- ev.Extensions()["cluster"]
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer srv.Close()
	overrides, err := sink.ParseOverrides(`{"extensions": {"cluster": "eu"}}`)
	if err != nil {
		t.Fatal(err)
	}
	ev := cloudevents.NewEvent()
	ev.SetID("1")
	ev.SetType("t")
	ev.SetSource("s")
	if err := sink.New(srv.URL, srv.Client()).With(overrides).Send(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
	if value := <-got; value != "eu" || len(ev.Extensions()) > 0 {
		t.Errorf("sent with %v, and the caller's event has %v", value, ev.Extensions())
	}
	if _, err := sink.ParseOverrides(`{"extensions": 1}`); err == nil {
		t.Error("broken overrides are accepted")
	}
}

func FuzzParseOverrides(f *testing.F) {
	f.Add(`{"extensions": {"cluster": "eu"}}`)
	f.Add(`{"extensions": null}`)
	f.Fuzz(func(t *testing.T, text string) {
		if o, err := sink.ParseOverrides(text); err != nil && o != nil {
			t.Errorf("%q: %v with %v", text, err, o)
		}
	})
}
