// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package eventtest signs events for tests, and forges them.
package eventtest

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// Key is the key of tests.
const Key = "a key that no installation should have"

// ID and Object are those of the build that forged events are about.
const ID = "0190f2a4-6c3b-7a57-8f0e-00000000000f"

// Object is that of the build that forged events are about.
var Object = build.ObjectRef{Application: "victim"}

func keys(key ...string) event.Keys {
	k, err := event.NewKeys(key...)
	if err != nil {
		panic(err)
	}
	return k
}

// Options verify by the key of tests, at a fixed time.
func Options(now time.Time) event.Options {
	return event.Options{Log: slog.New(slog.DiscardHandler), Keys: keys(Key), Clock: func() time.Time { return now }}
}

// Sign signs an event by the key of tests, if it is one of ours.
func Sign(t *testing.T, ev cloudevents.Event) cloudevents.Event {
	t.Helper()
	return signBy(t, keys(Key), ev)
}

// recorder keeps the event that it is sent.
type recorder struct{ ev cloudevents.Event }

func (r *recorder) Send(_ context.Context, ev cloudevents.Event) error {
	r.ev = ev
	return nil
}

func signBy(t *testing.T, k event.Keys, ev cloudevents.Event) cloudevents.Event {
	t.Helper()
	r := &recorder{}
	if err := k.Signed(r).Send(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
	return r.ev
}

// Victim is the build that forged events are about.
type Victim struct {
	// Key is that of the installation: with it, an event of the future is signed.
	Key    string
	ID     string
	Object build.ObjectRef
}

// Events returns one event of each of our types, of a time.
func (v Victim) Events(t *testing.T, at time.Time) []cloudevents.Event {
	t.Helper()
	var all []cloudevents.Event
	add := func(ev cloudevents.Event, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ev)
	}
	other := build.DerivedID("forged", v.ID)
	add(event.Requested(event.SourceAPI, build.Request{ID: other, Object: v.Object, Cause: build.CauseAPI, Time: at}))
	add(event.Republish(event.SourceAPI, build.Republish{ID: other, Object: v.Object, Of: v.ID, Time: at}))
	add(event.Cancelled(event.SourceAPI, build.Cancellation{ID: v.ID, Object: v.Object, Time: at}))
	add(event.Rejected(event.SourceBuilder, build.Rejection{
		ID: other, Object: v.Object, Reason: build.ReasonInternalError, Message: "Click https://evil.example", Time: at,
	}))
	add(event.Pushed(event.SourceAPI, other, build.Push{
		Application: v.Object.Application, URLs: []string{"https://evil.example/r"}, Time: at,
		Refs: []build.PushedRef{{Name: "refs/heads/main", Commit: strings.Repeat("a", 40)}},
	}))
	add(event.Finished(event.SourceStatus, build.Run{
		ID:     v.ID,
		Object: v.Object,
		Status: build.Status{Phase: build.Succeeded, Reason: build.ReasonSucceeded, Completed: at},
	}))
	return all
}

// Forged returns events that must not be believed at a time, by how they are wrong.
func (v Victim) Forged(t *testing.T, now time.Time) map[string][]cloudevents.Event {
	t.Helper()
	sign := func(ev cloudevents.Event) cloudevents.Event { return signBy(t, keys(v.Key), ev) }
	forged := map[string][]cloudevents.Event{}
	all := v.Events(t, now)
	for i, ev := range all {
		add := func(how string, ev cloudevents.Event) { forged[how] = append(forged[how], ev) }
		change := func(how string, f func(*cloudevents.Event)) {
			ev := sign(ev)
			f(&ev)
			add("replayed with "+how, ev)
		}
		add("unsigned", ev)
		add("signed by a different key", signBy(t, keys(strings.Repeat("x", 32)), ev))
		for how, signature := range map[string]string{
			"wrongly signed": "AAAA", "with a signature that cannot be read": "%%%",
		} {
			wrong := ev.Clone()
			wrong.SetExtension("signature", signature)
			add(how, wrong)
		}
		change("other data", func(ev *cloudevents.Event) {
			data := strings.Replace(string(ev.Data()), v.Object.Application, v.Object.Application+"x", 1)
			if err := ev.SetData(cloudevents.ApplicationJSON, []byte(data)); err != nil {
				t.Fatal(err)
			}
		})
		change("a different id", func(ev *cloudevents.Event) { ev.SetID("another") })
		change("a different time", func(ev *cloudevents.Event) { ev.SetTime(now.Add(time.Second)) })
		change("a different source", func(ev *cloudevents.Event) { ev.SetSource("/ajour/other") })
		change("a different type", func(ev *cloudevents.Event) { ev.SetType(all[(i+1)%len(all)].Type()) })
	}
	for _, ev := range v.Events(t, now.Add(2*time.Minute)) {
		forged["from the future"] = append(forged["from the future"], sign(ev))
	}
	return forged
}

// Forgeries posts each forged event, and makes sure that it is acknowledged and counted.
func Forgeries(
	t *testing.T, now time.Time, post func(t *testing.T, o event.Options, ev cloudevents.Event) (status int),
) {
	t.Helper()
	for how, list := range (Victim{Key, ID, Object}).Forged(t, now) {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			for _, ev := range list {
				o, dropped := Options(now), []string{}
				o.Dropped = func(_ context.Context, kind, _ string) { dropped = append(dropped, kind) }
				if status := post(t, o, ev); status != 202 || len(dropped) != 1 || dropped[0] != ev.Type() {
					t.Errorf("%s: status %d, dropped %v", ev.Type(), status, dropped)
				}
			}
		})
	}
}
