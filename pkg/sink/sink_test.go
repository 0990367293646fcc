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
