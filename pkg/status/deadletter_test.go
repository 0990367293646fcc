// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
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

// TestARequestThatWasNeverDeliveredIsReportedOnItsObject: whoever asked for the build
// got the answer that it is accepted.
func TestARequestThatWasNeverDeliveredIsReportedOnItsObject(t *testing.T) {
	t.Parallel()
	there := run(id, now, build.Running, build.ReasonBuilding, 20)
	there.Name = build.RunName(id)
	for _, tt := range []struct {
		name   string
		runs   []build.Run
		reason string
	}{
		{"a build without a run failed", nil, `"reason":"InternalError"`},
		{"a build whose run is there goes on", []build.Run{there}, `"reason":"Building"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(tt.runs...)
			srv := httptest.NewServer(w.service())
			defer srv.Close()
			ev, err := event.Requested(
				event.SourceAPI,
				build.Request{ID: id, Object: build.ObjectRef{Application: "a"}, Cause: build.CauseAPI, Time: now},
			)
			if err != nil {
				t.Fatal(err)
			}
			ev.SetExtension("knativeerrorcode", "503")
			reply, err := event.Send(t.Context(), srv.Client(), srv.URL+DeadLetterPath, eventtest.Sign(t, ev))
			if err != nil || reply.Status != 202 {
				t.Fatal(reply, err)
			}
			record := string(w.objects[build.ObjectRef{Application: "a"}].Status("firmwareBuild"))
			if !strings.Contains(record, tt.reason) {
				t.Error(record)
			}
		})
	}
}

// TestWhatOnlyADeadLetterKnowsIsNotLost: the runs do not have it.
func TestWhatOnlyADeadLetterKnowsIsNotLost(t *testing.T) {
	t.Parallel()
	ref := build.ObjectRef{Application: "a"}
	rejected, err := event.Rejected(
		event.SourceAPI,
		build.Rejection{ID: id, Object: ref, Reason: build.ReasonInvalidBuildSpec, Message: "wrong", Time: now},
	)
	if err != nil {
		t.Fatal(err)
	}
	cancelled := func(at time.Time) cloudevents.Event {
		ev, err := event.Cancelled(event.SourceAPI, build.Cancellation{ID: id, Object: ref, Time: at})
		if err != nil {
			t.Fatal(err)
		}
		return ev
	}
	pushed, err := event.Pushed(event.SourceAPI, id, build.Push{
		Application: "a", URLs: []string{"https://h/r"}, Time: now,
		Refs: []build.PushedRef{{Name: "refs/heads/main", Commit: strings.Repeat("a", 40)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	changed := cloudevents.NewEvent()
	changed.SetID("7")
	changed.SetType(event.TypeApplicationChange)
	changed.SetSource("drogue:/drogue/a")
	changed.SetTime(now)
	for name, tt := range map[string]struct {
		ev     cloudevents.Event
		code   string
		sent   []string
		writes int
	}{
		"a rejection is told to its object": {
			rejected,
			"503",
			[]string{event.TypeFinished + " " + id + "/Failed"},
			1,
		},
		"a change is sent once more": {changed, "503", []string{event.TypeApplicationChange + " 7"}, 0},
		"a push is sent once more":   {pushed, "503", []string{event.TypePushed + " " + id}, 0},
		"the end of a build is asked for once more": {
			cancelled(now),
			"503",
			[]string{event.TypeCancelled + " " + id + "/cancelled"},
			0,
		},
		"but not for ever":     {cancelled(now.Add(-2 * time.Hour)), "503", nil, 0},
		"nor if it is refused": {cancelled(now), "403", nil, 0},
		"though there was no answer": {
			cancelled(now),
			"-1",
			[]string{event.TypeCancelled + " " + id + "/cancelled"},
			0,
		},
		"nor if it is broken":                          {cancelled(now), "400", nil, 0},
		"what Tekton says is found by looking at runs": {tekton(t, "fw-1", "u"), "503", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			srv := httptest.NewServer(w.service())
			defer srv.Close()
			tt.ev.SetExtension("knativeerrorcode", tt.code)
			tt.ev.SetExtension("knativeerrordest", "http://builder.ajour.svc.cluster.local")
			reply, err := event.Send(t.Context(), srv.Client(), srv.URL+DeadLetterPath, eventtest.Sign(t, tt.ev))
			if err != nil || reply.Status != 202 {
				t.Fatal(reply, err)
			}
			if diff := cmp.Diff(tt.sent, w.sent); diff != "" || w.writes != tt.writes {
				t.Error(w.writes, diff)
			}
			for _, ev := range w.events {
				if e := ev.Extensions(); e["knativeerrordest"] != nil || e["knativeerrorcode"] != nil ||
					ev.Type() == event.TypeCancelled && e["application"] != "a" {
					t.Error(ev)
				}
			}
		})
	}
}
