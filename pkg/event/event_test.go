// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package event_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/event/eventtest"
)

const id = "0190f2a4-6c3b-7a57-8f0e-0242ac120002"

var quiet = slog.New(slog.DiscardHandler)

func request(device string) build.Request {
	return build.Request{
		ID:              id,
		Object:          build.ObjectRef{Application: "greenhouse", Device: device},
		DescriptionHash: "h",
		Requester:       "<alice & bob>",
		Cause:           build.CauseAPI,
		Time:            time.Date(2026, 1, 2, 3, 4, 5, 6789, time.UTC),
	}
}

func TestARequestSurvivesTheWire(t *testing.T) {
	t.Parallel()
	for _, device := range []string{"", "sensor-7", "a b/ü#%\n\"😀", "CN=dev 1, O=Drogue IoT"} {
		t.Run(device, func(t *testing.T) {
			t.Parallel()
			var got build.Request
			var key any
			want := request(device)
			o := eventtest.Options(want.Time)
			o.Dropped = func(_ context.Context, kind, why string) { t.Error(kind, why) }
			srv := httptest.NewServer(event.Subscriber(o, func(_ context.Context, ev cloudevents.Event) (err error) {
				got, err = event.DecodeRequested(ev)
				key = ev.Extensions()["partitionkey"]
				return err
			}))
			defer srv.Close()
			ev, err := event.Requested(event.SourceAPI, want)
			if err != nil {
				t.Fatal(err)
			}
			reply, err := event.Send(t.Context(), srv.Client(), srv.URL, eventtest.Sign(t, ev))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(event.Reply{Status: http.StatusAccepted, Body: []byte{}}, reply); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if key != want.Object.String() {
				t.Errorf("partitionkey %q, want %q", key, want.Object)
			}
		})
	}
}

func TestHandlerAnswersAsKnativeExpects(t *testing.T) {
	t.Parallel()
	fail := func(err error) func(context.Context, cloudevents.Event) error {
		return func(context.Context, cloudevents.Event) error { return err }
	}
	tests := []struct {
		name, method, body string
		handle             func(context.Context, cloudevents.Event) error
		want               int
	}{
		{"a handled event is accepted", "POST", "{}", fail(nil), 202},
		{"an event that cannot be read is final", "POST", "{}", fail(event.ErrMalformed), 400},
		{"any other error asks for a repetition, never with 500", "POST", "{}", fail(errors.New("api server away")), 503},
		{"a GET is not allowed", "GET", "", fail(nil), 405},
		{"a body over the limit is final", "POST", strings.Repeat("x", 3<<20), fail(nil), 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req := httptest.NewRequest(tt.method, "/", strings.NewReader(tt.body))
			for k, v := range map[string]string{"id": "1", "type": "t", "source": "/s", "specversion": "1.0"} {
				req.Header.Set("Ce-"+k, v)
			}
			req.Header.Set("Content-Type", "application/json")
			rec := httptest.NewRecorder()
			event.Handler(quiet, tt.handle).ServeHTTP(rec, req)
			if rec.Code != tt.want || rec.Body.Len() != 0 {
				t.Errorf("got %d %q, want %d and no body", rec.Code, rec.Body, tt.want)
			}
		})
	}
}

func TestHandlerRefusesWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	event.Handler(quiet, func(context.Context, cloudevents.Event) error { return nil }).
		ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("hello")))
	if rec.Code != 400 {
		t.Errorf("got %d", rec.Code)
	}
}

func change(kind, subject, app, device string) cloudevents.Event {
	ev := cloudevents.NewEvent()
	ev.SetID("1")
	ev.SetType(kind)
	ev.SetSource("drogue:/drogue/" + app)
	ev.SetSubject(subject)
	if app != "" {
		ev.SetExtension("application", app)
	}
	if device != "" {
		ev.SetExtension("device", device)
	}
	return ev
}

func TestDecodeChange(t *testing.T) {
	t.Parallel()
	got, err := event.DecodeChange(change(event.TypeDeviceChange, ".spec.firmware", "greenhouse", "a/b"))
	want := event.Change{Object: build.ObjectRef{Application: "greenhouse", Device: "a/b"}, Subject: ".spec.firmware"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for name, ev := range map[string]cloudevents.Event{
		"a device event without a device":      change(event.TypeDeviceChange, ".", "a", ""),
		"an application event with a device":   change(event.TypeApplicationChange, ".", "a", "d"),
		"no application":                       change(event.TypeApplicationChange, ".", "", ""),
		"a name that is no application's name": change(event.TypeApplicationChange, ".", "a,device=b", ""),
	} {
		if _, err := event.DecodeChange(ev); !errors.Is(err, event.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnlySpecAndMetadataChangesAreRelevant(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]bool{
		".": true, ".metadata": true, ".spec.firmware": true,
		".spec.firmware.x": false, ".status.firmware": false, ".status.firmwareBuild": false, ".spec.other": false, "": false,
	} {
		if got := (event.Change{Subject: subject}).Relevant(); got != want {
			t.Errorf("%q: %v", subject, got)
		}
	}
}

func TestDecodeTektonFindsThePipelineRun(t *testing.T) {
	t.Parallel()
	want := event.Tekton{Namespace: "builds", Name: "fw-1", UID: "u"}
	for name, tt := range map[string]struct {
		data string
		want event.Tekton
		ours bool
	}{
		"of its own event": {`{"pipelineRun":{"metadata":{"name":"fw-1","namespace":"builds","uid":"u"}}}`, want, true},
		"of a TaskRun's": {
			`{"taskRun":{"metadata":{"name":"fw-1-fetch","namespace":"builds","uid":"x","labels":{"tekton.dev/pipelineRun":"fw-1","tekton.dev/pipelineRunUID":"u"}}}}`, want, true,
		},
		"not of a lone TaskRun": {
			`{"taskRun":{"metadata":{"name":"x","namespace":"builds","uid":"x"}}}`,
			event.Tekton{Namespace: "builds"},
			false,
		},
		"not of anything else's": {`{"customRun":{}}`, event.Tekton{}, false},
	} {
		ev := change("dev.tekton.event.pipelinerun.started.v1", "", "", "")
		if err := ev.SetData("application/json", []byte(tt.data)); err != nil {
			t.Fatal(err)
		}
		got, ours, err := event.DecodeTekton(ev)
		if diff := cmp.Diff(tt.want, got); err != nil || ours != tt.ours || diff != "" {
			t.Error(name, err, ours, diff)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"id":"`+id+`","target":{"application":"a"},"time":"2026-01-01T00:00:00Z"}`, "a", "d", ".spec.firmware")
	f.Add(`{"taskRun":{"metadata":{"labels":{"tekton.dev/pipelineRun":"x"}}}}`, "", "", "")
	f.Fuzz(func(t *testing.T, data, app, device, subject string) {
		ev := change(event.TypeDeviceChange, subject, "a", "")
		if err := ev.Context.SetExtension("device", device); err != nil {
			return
		}
		if err := ev.SetData("application/json", []byte(data)); err != nil {
			return
		}
		if r, err := event.DecodeRequested(ev); err == nil && r.Validate() != nil {
			t.Error("an invalid request got through")
		}
		if r, err := event.DecodeRejected(ev); err == nil && r.Object.Validate() != nil {
			t.Error("an invalid rejection got through")
		}
		if r, err := event.DecodeRepublish(ev); err == nil && !build.ValidID(r.Of) {
			t.Error("an invalid request to publish got through")
		}
		if p, err := event.DecodePushed(ev); err == nil && p.Validate() != nil {
			t.Error("an invalid push got through")
		}
		if c, err := event.DecodeCancelled(ev); err == nil && !build.ValidID(c.ID) {
			t.Error("an invalid cancellation got through")
		}
		if c, err := event.DecodeChange(ev); err == nil && c.Object.Validate() != nil {
			t.Error("an invalid change got through")
		}
		if run, ours, err := event.DecodeTekton(ev); err == nil && ours && (run.Name == "" || run.UID == "") {
			t.Error("a run without an identity got through")
		}
	})
}

func TestOnlySignedEventsAreBelieved(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	eventtest.Forgeries(t, now, func(t *testing.T, o event.Options, ev cloudevents.Event) int {
		t.Helper()
		srv := httptest.NewServer(event.Subscriber(o, func(context.Context, cloudevents.Event) error {
			t.Errorf("%s is believed", ev.Type())
			return nil
		}))
		defer srv.Close()
		reply, err := event.Send(t.Context(), srv.Client(), srv.URL, ev)
		if err != nil {
			t.Fatal(err)
		}
		return reply.Status
	})
}

// TestKeysAreRotated: the former key is accepted beside the new one.
func TestKeysAreRotated(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const fresh = "a fresh key, as long as it has to be"
	for name, tt := range map[string]struct {
		keys []string
		want bool
	}{
		"before":               {[]string{eventtest.Key, ""}, true},
		"with both keys":       {[]string{fresh, eventtest.Key}, true},
		"when it is completed": {[]string{fresh}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys, err := event.NewKeys(tt.keys...)
			if err != nil {
				t.Fatal(err)
			}
			believed := false
			srv := httptest.NewServer(
				event.Subscriber(
					event.Options{Log: quiet, Keys: keys, Clock: func() time.Time { return at }},
					func(context.Context, cloudevents.Event) error {
						believed = true
						return nil
					},
				),
			)
			defer srv.Close()
			for _, ev := range (eventtest.Victim{ID: eventtest.ID, Object: eventtest.Object}).Events(t, at) {
				believed = false
				if _, err := event.Send(t.Context(), srv.Client(), srv.URL, eventtest.Sign(t, ev)); err != nil ||
					believed != tt.want {
					t.Error(ev.Type(), err, believed)
				}
			}
		})
	}
}

func TestKeysThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	for _, keys := range [][]string{nil, {""}, {"short"}, {eventtest.Key, "short"}} {
		if _, err := event.NewKeys(keys...); err == nil {
			t.Errorf("%q are taken", keys)
		}
	}
}

// FuzzSubscriber: no signature that somebody makes up is believed.
func FuzzSubscriber(f *testing.F) {
	f.Add("AAAA", "1", "/ajour/api", `{}`)
	o := eventtest.Options(time.Now())
	h := event.Subscriber(o, func(_ context.Context, ev cloudevents.Event) error {
		f.Errorf("%v is believed", ev)
		return nil
	})
	f.Fuzz(func(_ *testing.T, signature, id, source, data string) {
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(data))
		for k, v := range map[string]string{"id": id, "type": event.TypeRejected, "source": source, "specversion": "1.0", "signature": signature, "time": "2026-01-01T00:00:00Z"} {
			req.Header.Set("Ce-"+k, v)
		}
		req.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(httptest.NewRecorder(), req)
	})
}
