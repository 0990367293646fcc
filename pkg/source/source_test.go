// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/sink"
	"github.com/drogue-iot/ajour/pkg/source"
)

// change is a record as the registry makes it.
func change(app, device, subject string) *kgo.Record {
	name, kind := app, event.TypeApplicationChange
	if device != "" {
		name, kind = app+"/"+device, event.TypeDeviceChange
	}
	r := &kgo.Record{
		Topic: "registry",
		Key:   []byte("drogue/" + name),
		Value: []byte(`{"revision":7,"uid":"0f8b3c52-5b1e-4d35-9f0d-7d3d6f6f2a11"}`),
	}
	for _, h := range [][2]string{
		{"ce_specversion", "1.0"},
		{"ce_id", "3d0c3b9e-3a0e-4a0b-a2f5-3a1c3fb0a3d1"},
		{"ce_type", kind},
		{"ce_source", "drogue:/drogue/" + name},
		{"content-type", "application/json"},
		{"ce_subject", subject},
		{"ce_time", "2026-11-24T02:18:09.230829504+00:00"},
		{"ce_partitionkey", "drogue/" + name},
		{"ce_instance", "drogue"},
		{"ce_application", app},
		{"ce_device", device},
	} {
		if h[0] != "ce_device" || device != "" {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
		}
	}
	return r
}

// without returns a record with a header less, or changed.
func without(r *kgo.Record, name string, value ...string) *kgo.Record {
	r.Headers = slices.DeleteFunc(r.Headers, func(h kgo.RecordHeader) bool { return h.Key == name })
	for _, v := range value {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(v)})
	}
	return r
}

// broker takes events, and counts what becomes of records.
type broker struct {
	mu     sync.Mutex
	events []cloudevents.Event
	counts map[string]int
	answer func(n int, ev cloudevents.Event) error
	calls  int
	took   chan struct{}
}

func (b *broker) Send(_ context.Context, ev cloudevents.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	if b.answer != nil {
		if err := b.answer(b.calls, ev); err != nil {
			return err
		}
	}
	b.events = append(b.events, ev)
	return nil
}

func (b *broker) count(_ context.Context, outcome string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts[outcome]++
	select {
	case b.took <- struct{}{}:
	default:
	}
}

// until waits until so many records have an outcome.
func (b *broker) until(t *testing.T, n int) {
	t.Helper()
	for {
		b.mu.Lock()
		sum := 0
		for _, c := range b.counts {
			sum += c
		}
		b.mu.Unlock()
		if sum >= n {
			return
		}
		select {
		case <-b.took:
		case <-t.Context().Done():
			t.Fatal("too few")
		case <-time.After(30 * time.Second):
			t.Fatalf("%d of %d records have an outcome", sum, n)
		}
	}
}

func (b *broker) names() (names []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ev := range b.events {
		c, err := event.DecodeChange(ev)
		names = append(
			names,
			strings.TrimSpace(fmt.Sprint(c.Object.Application, "/", c.Object.Device, " ", c.Subject, " ", err)),
		)
	}
	return names
}

// start runs a source on a Kafka of its own, in this process.
func kafka(t *testing.T) source.Kafka {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "registry"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return source.Kafka{Bootstrap: cluster.ListenAddrs(), Topic: "registry", Group: "ajour", Protocol: source.Plaintext}
}

func produce(t *testing.T, k source.Kafka, records ...*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Bootstrap...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// run starts a source, and returns how to end it.
func run(t *testing.T, k source.Kafka, b *broker) (*source.Source, func()) {
	t.Helper()
	b.took = make(chan struct{}, 1)
	if b.counts == nil {
		b.counts = map[string]int{}
	}
	s, err := source.New(k, source.Options{Log: slog.New(slog.DiscardHandler), Sender: b, Count: b.count})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return s, stop
}

// TestChangesOfDescriptionsArePassedOn with names as they are; changes of status are not, nor is what is
// no change at all.
func TestChangesOfDescriptionsArePassedOn(t *testing.T) {
	t.Parallel()
	k, b := kafka(t), &broker{}
	names := []string{"a b", "50%", "%41x", `q"uo\te`, "é/ü", "日本", "x#?&=", "sensor-7"}
	var records []*kgo.Record
	var want []string
	for _, name := range names {
		for _, subject := range []string{".spec.firmware", ".status.firmware", ".status.firmwareBuild", ".spec.other"} {
			records = append(records, change("greenhouse", name, subject))
		}
		want = append(want, "greenhouse/"+name+" .spec.firmware <nil>")
	}
	for app, subject := range map[string]string{"new": ".", "renamed": ".metadata"} {
		records = append(records, change(app, "", subject))
		want = append(want, app+"/ "+subject+" <nil>")
	}
	malformed := []*kgo.Record{
		{Topic: "registry", Value: []byte("x")},
		without(change("a", "", "."), "ce_type", "io.other"),
		without(change("a", "", "."), "ce_id"), without(change("a", "", "."), "ce_application"),
		without(change("a", "", "."), "ce_application", "A_B"), without(change("a", "d", "."), "ce_device"),
		without(change("a", "d", "."), "ce_device", "\xff"), without(change("a", "", "."), "ce_time", "yesterday"),
		without(change("a", "", "."), "ce_specversion", "0.3"), without(change("a", "", "."), "ce_source", "no-scheme"),
	}
	produce(t, k, append(records, malformed...)...)
	s, _ := run(t, k, b)
	b.until(t, len(records)+len(malformed))
	got := b.names()
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(
		map[string]int{source.Sent: len(names) + 2, source.Irrelevant: 3 * len(names), source.Malformed: len(malformed)},
		maps.Collect(maps.All(b.counts)),
	); diff != "" {
		t.Error(diff)
	}
	if err := s.Ready(); err != nil {
		t.Error(err)
	}
}

// TestTheLastChangeOfAnObjectIsEnough: whoever gets it reads the object. One that is no change does not
// take the place of one that is.
func TestTheLastChangeOfAnObjectIsEnough(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "registry"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	k := source.Kafka{Bootstrap: cluster.ListenAddrs(), Topic: "registry", Group: "ajour", Protocol: source.Plaintext}
	produce(t, k, // as one batch, which is read at once
		change("a", "", "."), change("a", "d", "."), change("a", "", ".metadata"), change("b", "", "."),
		change("a", "", ".spec.firmware"), change("a", "", ".status.firmware"), without(change("b", "", "."), "ce_id"),
	)
	b := &broker{}
	run(t, k, b)
	b.until(t, 7)
	got := b.names()
	slices.Sort(got)
	if diff := cmp.Diff([]string{"a/ .spec.firmware <nil>", "a/d . <nil>", "b/ . <nil>"}, got); diff != "" {
		t.Error(diff)
	}
	want := map[string]int{source.Sent: 3, source.Superseded: 2, source.Irrelevant: 1, source.Malformed: 1}
	if diff := cmp.Diff(want, maps.Collect(maps.All(b.counts))); diff != "" {
		t.Error(diff)
	}
}

// pairs is a broker that takes an event when it has one of a second object, too.
type pairs struct{ met chan struct{} }

// Send implements event.Sender.
func (p pairs) Send(ctx context.Context, _ cloudevents.Event) error {
	select {
	case p.met <- struct{}{}:
	case <-p.met:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// TestObjectsDoNotWaitForEachOther: a broker that is far away would else be asked one change after the
// other.
func TestObjectsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "registry"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	k := source.Kafka{Bootstrap: cluster.ListenAddrs(), Topic: "registry", Group: "ajour", Protocol: source.Plaintext}
	produce(t, k, change("greenhouse", "a", "."), change("greenhouse", "b", "."))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	sent := 0
	var mu sync.Mutex
	s, err := source.New(k, source.Options{
		Log: slog.New(slog.DiscardHandler), Sender: pairs{make(chan struct{})}, Count: func(context.Context, string) {
			mu.Lock()
			defer mu.Unlock()
			if sent++; sent == 2 {
				cancel()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(ctx); err != nil || sent != 2 {
		t.Errorf("%d changes are passed on: %v", sent, err)
	}
}

// TestABrokerThatIsAwayIsWaitedFor, and what it refuses for ever is skipped. What was not taken
// comes once more after the process has ended, and what was taken does not.
func TestABrokerThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	k := kafka(t)
	produce(t, k, change("a", "", "."), change("b", "", ".metadata"), change("c", "", ".spec.firmware"))
	away := errors.New("away")
	b := &broker{answer: func(n int, ev cloudevents.Event) error {
		switch {
		case ev.Subject() == ".metadata":
			return &sink.RefusedError{Status: 400}
		case n < 3:
			return away
		}
		return nil
	}}
	s, stop := run(t, k, b)
	b.until(t, 3)
	got := b.names()
	slices.Sort(got)
	if diff := cmp.Diff([]string{"a/ . <nil>", "c/ .spec.firmware <nil>"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{source.Sent: 2, source.Refused: 1}, maps.Collect(maps.All(b.counts))); diff != "" {
		t.Error(diff)
	}
	for lag := int64(1); lag != 0; {
		var err error
		if lag, err = s.Lag(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	produce(t, k, change("d", "", "."))
	tried := make(chan struct{}, 1)
	never := &broker{answer: func(int, cloudevents.Event) error {
		select {
		case tried <- struct{}{}:
		default:
		}
		return away
	}}
	_, stop = run(t, k, never)
	<-tried
	stop()
	last := &broker{}
	run(t, k, last)
	last.until(t, 1)
	if diff := cmp.Diff([]string{"d/ . <nil>"}, last.names()); diff != "" {
		t.Error(diff)
	}
}

// TestATopicWithoutRecordsIsRead: the source is ready without any, too.
func TestATopicWithoutRecordsIsRead(t *testing.T) {
	t.Parallel()
	s, _ := run(t, kafka(t), &broker{})
	for s.Ready() != nil {
		select {
		case <-t.Context().Done():
			t.Fatal(s.Ready())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestABrokerThatDoesNotKnowUsIsWaitedFor: the change is not lost.
func TestABrokerThatDoesNotKnowUsIsWaitedFor(t *testing.T) {
	t.Parallel()
	k := kafka(t)
	produce(t, k, change("a", "", "."))
	b := &broker{answer: func(n int, _ cloudevents.Event) error {
		switch n {
		case 1:
			return &sink.RefusedError{Status: http.StatusUnauthorized}
		case 2:
			return &sink.RefusedError{Status: http.StatusForbidden}
		}
		return nil
	}}
	run(t, k, b)
	b.until(t, 1)
	if diff := cmp.Diff([]string{"a/ . <nil>"}, b.names()); diff != "" {
		t.Error(diff)
	}
}

func TestAWrongConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	folder := func(files map[string]string) string {
		dir := t.TempDir()
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	good := source.Kafka{Bootstrap: []string{"h:9092"}, Topic: "registry", Group: "ajour"}
	with := func(change func(*source.Kafka)) source.Kafka {
		k := good
		change(&k)
		return k
	}
	login := map[string]string{"user": "u", "password": "hunter2\n"}
	for want, k := range map[string]source.Kafka{
		"":                     with(func(k *source.Kafka) { k.Folder = folder(login) }),
		"no bootstrap servers": with(func(k *source.Kafka) { k.Bootstrap = []string{""} }),
		"no topic":             with(func(k *source.Kafka) { k.Topic = "" }),
		"security protocol":    with(func(k *source.Kafka) { k.Protocol = "TLS" }),
		"credentials of Kafka": good,
		"PEM":                  with(func(k *source.Kafka) { k.Folder = folder(map[string]string{"ca.crt": "x"}) }),
		"sasl.mechanism": with(func(k *source.Kafka) {
			k.Folder = folder(map[string]string{"user": "u", "password": "p", "sasl.mechanism": "GSSAPI"})
		}),
	} {
		_, err := source.New(k, source.Options{Log: slog.New(slog.DiscardHandler)})
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// FuzzRecord: nothing that a topic holds ends the source, and what is passed on is a change.
func FuzzRecord(f *testing.F) {
	f.Add("drogue:/drogue/a/b c", ".", "a", "b c", "1.0")
	f.Add("\x00:%", ".spec.firmware", "a", "\xff", "")
	f.Fuzz(func(t *testing.T, src, subject, app, device, version string) {
		r := change(app, device, subject)
		without(without(r, "ce_source", src), "ce_specversion", version)
		ev, object, err := source.Decode(r)
		if err != nil {
			return
		}
		c, err := event.DecodeChange(ev)
		want := build.ObjectRef{Application: app, Device: device}
		if err != nil || c.Object != want || object != want {
			t.Errorf("%+v %+v %v", c, object, err)
		}
	})
}
