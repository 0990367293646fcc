// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// TestARequestThatWasNeverDeliveredIsToldToItsObject: whoever asked for the build
// was told that it is accepted.
func TestARequestThatWasNeverDeliveredIsToldToItsObject(t *testing.T) {
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
			ev, err := event.Requested(event.SourceAPI, build.Request{
				ID: id, Target: build.Target{Application: "a"}, Trigger: build.TriggerAPI, Time: now,
				Description: build.Description{Registry: build.OCI, Image: "a:1", Timeout: build.Duration(time.Hour)},
			})
			if err != nil {
				t.Fatal(err)
			}
			ev.SetExtension("knativeerrorcode", "503")
			reply, err := event.Send(t.Context(), srv.Client(), srv.URL+DeadLetterPath, ev)
			if err != nil || reply.Status != 202 {
				t.Fatal(reply, err)
			}
			record := string(w.objects[build.Target{Application: "a"}].Status("firmwareBuild"))
			if !strings.Contains(record, tt.reason) {
				t.Error(record)
			}
		})
	}
}

// TestOtherDeadLettersAreOnlyLogged: the next look at all runs finds what they said.
func TestOtherDeadLettersAreOnlyLogged(t *testing.T) {
	t.Parallel()
	w := newWorld()
	srv := httptest.NewServer(w.service())
	defer srv.Close()
	reply, err := event.Send(t.Context(), srv.Client(), srv.URL+DeadLetterPath, tekton(t, "fw-1", "u"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{202, 0}, []int{reply.Status, w.writes}); diff != "" {
		t.Error(diff)
	}
}
