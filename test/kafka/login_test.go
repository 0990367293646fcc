// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/drogue-iot/ajour/pkg/source"
	"github.com/drogue-iot/ajour/test/servers"
)

// taken hands on what a source sends.
type taken chan cloudevents.Event

func (c taken) Send(ctx context.Context, ev cloudevents.Event) error {
	select {
	case c <- ev:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestChangesAreReadWithALogin, as Drogue's Kafka wants one: by SCRAM-SHA-512, with a certificate of a
// CA that is none of the system's. A wrong password says so, and one that is mended counts.
func TestChangesAreReadWithALogin(t *testing.T) {
	t.Parallel()
	k := servers.StartSecureKafka(t)
	client := k.Client()
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 3, 1, nil, "registry"); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(k.CA)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("user", k.User+"\n")
	write("password", "wrong")
	write("ca.crt", string(ca))
	events := make(taken)
	s, err := source.New(
		source.Kafka{Bootstrap: []string{k.Address}, Topic: "registry", Group: "ajour", Folder: dir},
		source.Options{Log: slog.New(slog.DiscardHandler), Sender: events, Count: func(context.Context, string) {}},
	)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	until(t, "refused", func() bool {
		err := s.Ready()
		return err != nil && strings.Contains(err.Error(), "SASL")
	}, s.Ready)
	write("password", k.Password+"\n")
	until(t, "ready", func() bool { return s.Ready() == nil }, s.Ready)
	produce(t, client, "sensor 7", 1)
	select {
	case ev := <-events:
		if ev.Extensions()["device"] != "sensor 7" {
			t.Error(ev)
		}
	case <-time.After(time.Minute):
		t.Error("no event came")
	}
}

func until(t *testing.T, what string, done func() bool, state func() error) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("the source is not %s: %v", what, state())
		}
		select {
		case <-t.Context().Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}
