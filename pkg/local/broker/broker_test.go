// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/config"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/local/broker"
)

// subscriber records the ids of the events that reach it and answers with what
// answer returns for the nth of them.
type subscriber struct {
	mu     sync.Mutex
	ids    []string
	answer func(n int) (status int, body string)
}

func (s *subscriber) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ev, err := event.Receive(w, r)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	s.ids = append(s.ids, ev.ID())
	n := len(s.ids)
	s.mu.Unlock()
	status, body := http.StatusAccepted, ""
	if s.answer != nil {
		status, body = s.answer(n)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func (s *subscriber) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.ids...)
}

const manifest = `
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: %[1]s, namespace: ajour}
spec:
  broker: ajour
  filters: [{exact: {type: wanted}}]
  subscriber: {ref: {apiVersion: v1, kind: Service, name: %[1]s}}
  delivery: {retry: 3, backoffPolicy: linear, backoffDelay: PT0.01S}
`

type fixture struct {
	t    *testing.T
	path string
	subs map[string]http.Handler
}

// open opens a broker with one Trigger per subscriber.
func (f *fixture) open() *broker.Broker {
	f.t.Helper()
	files := fstest.MapFS{}
	for name := range f.subs {
		files[name+".yaml"] = &fstest.MapFile{Data: fmt.Appendf(nil, manifest, name)}
	}
	triggers, err := broker.LoadTriggers(files)
	if err != nil {
		f.t.Fatal(err)
	}
	b, err := broker.Open(f.path, broker.Options{
		Triggers: triggers, HTTP: &http.Client{Timeout: 5 * time.Second}, Log: slog.New(slog.DiscardHandler),
		Resolve: func(service string) string {
			srv := httptest.NewServer(f.subs[service])
			f.t.Cleanup(srv.Close)
			return srv.URL
		},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// run runs a broker and returns what stops and closes it.
func (f *fixture) run(b *broker.Broker) func() {
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				f.t.Error(err)
			}
			if err := b.Close(); err != nil {
				f.t.Error(err)
			}
		})
	}
	f.t.Cleanup(stop)
	return stop
}

func newFixture(t *testing.T, subs map[string]http.Handler) *fixture {
	t.Helper()
	return &fixture{t: t, path: filepath.Join(t.TempDir(), "broker"), subs: subs}
}

func ev(id, kind string) cloudevents.Event {
	e := cloudevents.NewEvent()
	e.SetID(id)
	e.SetType(kind)
	e.SetSource("/test")
	return e
}

func drained(t *testing.T, b *broker.Broker) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		n, err := b.Pending()
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d deliveries are pending", n)
		}
	}
}

func TestAnEventReachesEverySubscriberThatWantsIt(t *testing.T) {
	t.Parallel()
	one, two := &subscriber{}, &subscriber{}
	f := newFixture(t, map[string]http.Handler{"one": one, "two": two})
	b := f.open()
	f.run(b)
	srv := httptest.NewServer(b)
	defer srv.Close()
	for i, kind := range []string{"wanted", "other"} {
		reply, err := event.Send(t.Context(), srv.Client(), srv.URL, ev(fmt.Sprint(i), kind))
		if err != nil || reply.Status != http.StatusAccepted {
			t.Fatal(reply.Status, err)
		}
	}
	drained(t, b)
	for _, s := range []*subscriber{one, two} {
		if diff := cmp.Diff([]string{"0"}, s.seen()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestDeliveryFollowsKnativesRules(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		status   int
		body     string
		until    int // from this attempt on the answer is 202
		attempts int
		code     string // of the dead letter, "" for none
	}{
		{"202 is done", 202, "", 0, 1, ""},
		{"503 is repeated until it works", 503, "", 3, 3, ""},
		{"404 is repeated", 404, "", 2, 2, ""},
		{"409 is repeated", 409, "", 2, 2, ""},
		{"429 is repeated", 429, "", 2, 2, ""},
		{"500 is repeated, and given up after the retries", 500, "oh", 99, 4, "500"},
		{"400 is final", 400, "bad", 99, 1, "400"},
		{"403 is final", 403, "", 99, 1, "403"},
		{"a body that is no event is repeated", 200, "hello", 99, 4, "502"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &subscriber{answer: func(n int) (int, string) {
				if n >= tt.until && tt.until != 99 {
					return 202, ""
				}
				return tt.status, tt.body
			}}
			f := newFixture(t, map[string]http.Handler{"s": s})
			b := f.open()
			f.run(b)
			if err := b.Publish(t.Context(), ev("1", "wanted")); err != nil {
				t.Fatal(err)
			}
			drained(t, b)
			dead, err := b.DeadLetters()
			if err != nil {
				t.Fatal(err)
			}
			code := ""
			for _, d := range dead {
				code, _ = d.Extensions()["knativeerrorcode"].(string)
			}
			if len(s.seen()) != tt.attempts || code != tt.code {
				t.Errorf("%d attempts, dead letter %q", len(s.seen()), code)
			}
		})
	}
}

func TestAnEventOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	s := &subscriber{}
	f := newFixture(t, map[string]http.Handler{"s": s})
	b := f.open() // never runs: it dies right after it answered
	for i := range 3 {
		if err := b.Publish(t.Context(), ev(fmt.Sprint(i), "wanted")); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	reopened := f.open()
	f.run(reopened)
	drained(t, reopened)
	got := map[string]int{}
	for _, id := range s.seen() {
		got[id]++
	}
	if diff := cmp.Diff(map[string]int{"0": 1, "1": 1, "2": 1}, got); diff != "" {
		t.Error(diff)
	}
}

func TestStoppingLeavesAFailingDeliveryForLater(t *testing.T) {
	t.Parallel()
	s := &subscriber{answer: func(n int) (int, string) {
		if n == 1 {
			return 503, ""
		}
		return 202, ""
	}}
	f := newFixture(t, map[string]http.Handler{"s": s})
	b := f.open()
	stop := f.run(b)
	if err := b.Publish(t.Context(), ev("1", "wanted")); err != nil {
		t.Fatal(err)
	}
	stop() // at any point: before, during or after the attempts
	reopened := f.open()
	f.run(reopened)
	drained(t, reopened)
	if dead, err := reopened.DeadLetters(); err != nil || len(dead) != 0 {
		t.Error(dead, err)
	}
	if len(s.seen()) == 0 {
		t.Error("the event was lost")
	}
}

func TestAReplyThatIsAnEventIsPublished(t *testing.T) {
	t.Parallel()
	second := &subscriber{}
	first := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := event.Receive(w, r)
		if err != nil || got.ID() != "1" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		for k, v := range map[string]string{"id": "2", "type": "wanted", "source": "/reply", "specversion": "1.0"} {
			w.Header().Set("Ce-"+k, v)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	})
	f := newFixture(t, map[string]http.Handler{"first": first, "second": second})
	b := f.open()
	f.run(b)
	if err := b.Publish(t.Context(), ev("1", "wanted")); err != nil {
		t.Fatal(err)
	}
	drained(t, b)
	got := map[string]bool{}
	for _, id := range second.seen() {
		got[id] = true
	}
	if diff := cmp.Diff(map[string]bool{"1": true, "2": true}, got); diff != "" {
		t.Error(diff)
	}
}

// TestTheTriggersOfTheInstallation routes sample events by the real manifests.
func TestTheTriggersOfTheInstallation(t *testing.T) {
	t.Parallel()
	triggers, err := broker.LoadTriggers(config.Triggers)
	if err != nil {
		t.Fatal(err)
	}
	subs := map[string]*subscriber{"builder": {}, "status": {}}
	b, err := broker.Open(filepath.Join(t.TempDir(), "broker"), broker.Options{
		Triggers: triggers, HTTP: &http.Client{Timeout: 5 * time.Second}, Log: slog.New(slog.DiscardHandler),
		Resolve: func(service string) string {
			srv := httptest.NewServer(subs[service])
			t.Cleanup(srv.Close)
			return srv.URL
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	(&fixture{t: t}).run(b)
	want := map[string][]string{}
	for _, tt := range []struct{ kind, subject, to string }{
		{event.TypeRequested, "", "builder"},
		{event.TypeCancelled, "", "builder"},
		{event.TypeRejected, "", "status"},
		{event.TypeFinished, "", ""},
		{event.TypeApplicationChange, ".", "builder"},
		{event.TypeApplicationChange, ".metadata", "builder"},
		{event.TypeDeviceChange, ".spec.firmware", "builder"},
		{event.TypeDeviceChange, ".spec.firmware.x", ""},
		{event.TypeDeviceChange, ".status.firmware", ""},
		{"dev.tekton.event.pipelinerun.started.v1", "x", "status"},
		{"dev.tekton.event.taskrun.failed.v1", "x", "status"},
		{"dev.tekton.event.customrun.failed.v1", "x", ""},
	} {
		e := ev(tt.kind+" "+tt.subject, tt.kind)
		e.SetSubject(tt.subject)
		if err := b.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		drained(t, b)
		if tt.to != "" {
			want[tt.to] = append(want[tt.to], e.ID())
		}
	}
	for name, s := range subs {
		if diff := cmp.Diff(want[name], s.seen()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
