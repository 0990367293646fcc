// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

const id = "0190f2a4-6c3b-7a57-8f0e-0242ac120002"

// world is a double of everything that the service talks to.
type world struct {
	mu      sync.Mutex
	runs    map[string]build.Run
	objects map[build.Target]object
	sent    []string
	events  []cloudevents.Event
	writes  int
	finds   int
	fail    map[string]error
}

func newWorld(runs ...build.Run) *world {
	w := &world{runs: map[string]build.Run{}, objects: map[build.Target]object{{Application: "a"}: {}}, fail: map[string]error{}}
	for _, r := range runs {
		w.runs[r.Name] = r
	}
	return w
}

func (w *world) Find(_ context.Context, name string) (build.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finds++
	r, ok := w.runs[name]
	if !ok {
		return r, build.ErrNotFound
	}
	return r, w.fail["find"]
}

func (w *world) List(context.Context, build.Target) (list []build.Run, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.runs {
		list = append(list, r)
	}
	return list, w.fail["list"]
}

func (w *world) Update(_ context.Context, t build.Target, change func(build.Object) (bool, error)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	o, ok := w.objects[t]
	if !ok {
		return build.ErrNoObject
	}
	next := object{}
	for k, v := range o {
		next[k] = v
	}
	changed, err := change(next)
	if err != nil || !changed {
		return err
	}
	if err := w.fail["update"]; err != nil {
		return err
	}
	w.writes++
	w.objects[t] = next
	return nil
}

func (w *world) Send(_ context.Context, ev cloudevents.Event) error {
	w.sent, w.events = append(w.sent, ev.Type()+" "+ev.ID()), append(w.events, ev)
	return w.fail["send"]
}

func (w *world) service() *Service {
	return New(w, w, w, Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now, Repair: 5 * time.Second})
}

func (w *world) deliver(t *testing.T, ev cloudevents.Event) int {
	t.Helper()
	srv := httptest.NewServer(w.service())
	defer srv.Close()
	reply, err := event.Send(t.Context(), srv.Client(), srv.URL, ev)
	if err != nil || len(reply.Body) > 0 {
		t.Fatal(reply, err)
	}
	return reply.Status
}

// tekton is an event of a run of ours, with the run's name and uid.
func tekton(t *testing.T, name, uid string) cloudevents.Event {
	t.Helper()
	ev := cloudevents.NewEvent()
	ev.SetID("1")
	ev.SetType("dev.tekton.event.pipelinerun.failed.v1")
	ev.SetSource("/apis///namespaces/builds//" + name)
	if err := ev.SetData("application/json", fmt.Appendf(nil, `{"pipelineRun":{"metadata":{"name":%q,"uid":%q}}}`, name, uid)); err != nil {
		t.Fatal(err)
	}
	return ev
}

func TestEvents(t *testing.T) {
	t.Parallel()
	ended := run(id, now, build.Succeeded, build.ReasonSucceeded, 100)
	running := run(id, now, build.Running, build.ReasonBuilding, 20)
	finished := event.TypeFinished + " " + id + "/Succeeded"
	for _, tt := range []struct {
		name   string
		run    build.Run
		uid    string
		fail   string
		err    error
		code   int
		writes int
		sent   []string
	}{
		{"a running build is written", running, "u", "", nil, 202, 1, nil},
		{"the end of a build is announced and written", ended, "u", "", nil, 202, 1, []string{finished}},
		{"an event of another run of that name is passed over", ended, "other", "", nil, 202, 0, nil},
		{"a run that cannot be read is tried again", running, "u", "find", errors.New("away"), 503, 0, nil},
		{"an object that cannot be written is tried again", running, "u", "update", errors.New("away"), 503, 0, nil},
		{"an object that the registry never takes is given up", running, "u", "update", build.ErrRejected, 202, 0, nil},
		{"an object that we may not write is given up", running, "u", "update", build.ErrForbidden, 202, 0, nil},
		{"an end that cannot be announced is recorded, and tried again", ended, "u", "send", errors.New("away"), 503, 1, []string{finished}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(tt.run)
			w.fail[tt.fail] = tt.err
			if code := w.deliver(t, tekton(t, tt.run.Name, tt.uid)); code != tt.code || w.writes != tt.writes {
				t.Errorf("status %d, %d writes", code, w.writes)
			}
			if diff := cmp.Diff(tt.sent, w.sent); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnEventOfAForeignRunIsPassedOver(t *testing.T) {
	t.Parallel()
	w := newWorld()
	if code := w.deliver(t, tekton(t, "somebody-elses", "u")); code != 202 || w.writes != 0 {
		t.Error(code, w.writes)
	}
}

func TestAnObjectThatIsGoneEndsTheStory(t *testing.T) {
	t.Parallel()
	r := run(id, now, build.Succeeded, build.ReasonSucceeded, 100)
	r.Target.Application = "gone"
	w := newWorld(r)
	if code := w.deliver(t, tekton(t, r.Name, "u")); code != 202 {
		t.Error(code)
	}
}

func TestARepeatedEndIsAnnouncedOnce(t *testing.T) {
	t.Parallel()
	r := run(id, now, build.Succeeded, build.ReasonSucceeded, 100)
	w := newWorld(r)
	for range 3 {
		w.deliver(t, tekton(t, r.Name, "u"))
	}
	if len(w.sent) != 1 || w.writes != 1 {
		t.Error(w.sent, w.writes)
	}
}

// TestAnEndThatWasNotAnnouncedIsAnnouncedLater: whoever subscribes may be away.
func TestAnEndThatWasNotAnnouncedIsAnnouncedLater(t *testing.T) {
	t.Parallel()
	r := run(id, now, build.Succeeded, build.ReasonSucceeded, 100)
	w := newWorld(r)
	w.fail["send"] = errors.New("away")
	w.deliver(t, tekton(t, r.Name, "u"))
	if got := build.RecordOf(w.objects[r.Target]); !got.Unannounced || got.Phase != build.Succeeded {
		t.Errorf("%+v", got)
	}
	delete(w.fail, "send")
	for range 2 {
		if code := w.deliver(t, tekton(t, r.Name, "u")); code != 202 {
			t.Error(code)
		}
	}
	if got := build.RecordOf(w.objects[r.Target]); got.Unannounced || len(w.sent) != 2 || w.sent[0] != w.sent[1] {
		t.Errorf("%+v %v", got, w.sent)
	}
}

// TestAnOlderBuildIsAnnouncedOnce by one process, though no object knows of it.
func TestAnOlderBuildIsAnnouncedOnce(t *testing.T) {
	t.Parallel()
	r := run(id, now, build.Failed, build.ReasonBuildFailed, 20)
	w := newWorld(r)
	s := w.service()
	if err := s.write(t.Context(), run("0190f2a4-6c3b-7a57-8f0e-000000000002", now.Add(time.Hour), build.Running, build.ReasonBuilding, 20)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.observe(t.Context(), r.Name, "u"); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.sent) != 1 {
		t.Error(w.sent)
	}
}

// TestARunThatIsDeletedEndsItsBuild: nothing else will ever speak of it.
func TestARunThatIsDeletedEndsItsBuild(t *testing.T) {
	t.Parallel()
	r := run(id, now, build.Running, build.ReasonBuilding, 20)
	ended := run("0190f2a4-6c3b-7a57-8f0e-000000000002", now, build.Succeeded, build.ReasonSucceeded, 100)
	ended.Target = build.Target{Application: "b"}
	w := newWorld(r, ended)
	w.objects[ended.Target] = object{}
	s := w.service()
	active, err := s.repair(t.Context(), nil, true)
	if err != nil || len(active) != 1 {
		t.Fatal(active, err)
	}
	clear(w.runs)
	w.fail["update"] = errors.New("away")
	if active, err = s.repair(t.Context(), active, false); err == nil || len(active) != 1 {
		t.Fatal(active, err)
	}
	delete(w.fail, "update")
	if active, err = s.repair(t.Context(), active, false); err != nil || len(active) != 0 {
		t.Fatal(active, err)
	}
	for target, want := range map[build.Target]string{r.Target: "InternalError", ended.Target: "Succeeded"} {
		if c := firmware(t, w.objects[target]).Conditions[0]; c.Reason != want {
			t.Errorf("%s: %+v", target, c)
		}
	}
}

// TestAnEndIsAnnouncedOnceThoughItsObjectRefusesIt: nobody mends that by asking again.
func TestAnEndIsAnnouncedOnceThoughItsObjectRefusesIt(t *testing.T) {
	t.Parallel()
	for _, refusal := range []error{build.ErrRejected, build.ErrForbidden, errors.New("away")} {
		r := run(id, now, build.Succeeded, build.ReasonSucceeded, 100)
		w := newWorld(r)
		w.fail["update"] = refusal
		s := w.service()
		for range 3 {
			_ = s.observe(t.Context(), r.Name, "u") // what it returns is tested elsewhere
		}
		if len(w.sent) != 1 {
			t.Errorf("%v: %v", refusal, w.sent)
		}
	}
}

// TestWhatAnotherReplicaHasRecordedIsLookedAtOnce: the log of a build is long.
func TestWhatAnotherReplicaHasRecordedIsLookedAtOnce(t *testing.T) {
	t.Parallel()
	r := run(id, time.Now().Add(-time.Minute), build.Failed, build.ReasonBuildFailed, 20)
	w := newWorld(r)
	w.deliver(t, tekton(t, r.Name, "u")) // by the other one
	w.finds = 0
	s := w.service()
	for range 5 {
		if _, err := s.repair(t.Context(), nil, false); err != nil {
			t.Fatal(err)
		}
	}
	if w.finds != 1 || len(w.sent) != 1 {
		t.Error(w.finds, w.sent)
	}
}

// TestABuildThatEndedTwiceIsAnnouncedTwice: it was given up before it had a run, or its run
// was deleted and made again.
func TestABuildThatEndedTwiceIsAnnouncedTwice(t *testing.T) {
	t.Parallel()
	givenUp := run(id, now, build.Failed, build.ReasonInternalError, 0)
	givenUp.Started = time.Time{}
	deleted := run(id, now, build.Failed, build.ReasonInternalError, 20)
	again := run(id, now, build.Succeeded, build.ReasonSucceeded, 100)
	again.Started = now.Add(time.Hour)
	for name, first := range map[string]build.Run{"given up": givenUp, "deleted": deleted} {
		w := newWorld(again)
		s := w.service()
		if err := s.write(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.observe(t.Context(), again.Name, "u"); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{event.TypeFinished + " " + id + "/Failed", event.TypeFinished + " " + id + "/Succeeded"}
		if diff := cmp.Diff(want, w.sent); diff != "" || build.RecordOf(w.objects[again.Target]).Phase != build.Succeeded {
			t.Errorf("%s: %s %v", name, diff, build.RecordOf(w.objects[again.Target]))
		}
	}
}

func TestARejectionIsAConditionOnTheObject(t *testing.T) {
	t.Parallel()
	w := newWorld()
	ev, err := event.Rejected(event.SourceAPI, build.Rejection{
		ID: id, Target: build.Target{Application: "a"}, Reason: build.ReasonInvalidBuildSpec, Message: "timeout: \x1b[31mwrong", Time: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	if code := w.deliver(t, ev); code != 202 {
		t.Fatal(code)
	}
	want := []build.Condition{
		{Type: "BuildStatus", Status: "False", Reason: "InvalidBuildSpec", Message: "timeout: [31mwrong", LastTransitionTime: now},
		{Type: "BuildProgress", Status: "False", Message: "0.0 %", LastTransitionTime: now},
	}
	if diff := cmp.Diff(want, firmware(t, w.objects[build.Target{Application: "a"}]).Conditions); diff != "" {
		t.Error(diff)
	}
}

// TestALostEventIsRepaired: the loop finds what no event told, for the newest
// build of each object only.
func TestALostEventIsRepaired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		old := run("0190f2a4-6c3b-7a57-8f0e-000000000001", start.Add(-2*time.Hour), build.Failed, build.ReasonBuildFailed, 20)
		r := run(id, start, build.Running, build.ReasonBuilding, 20)
		w := newWorld(old, r)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.service().Run(ctx) }()
		reason := func() string {
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			return firmware(t, w.objects[r.Target]).Conditions[0].Reason
		}
		if got := reason(); got != "Building" {
			t.Error(got)
		}
		w.mu.Lock()
		w.runs[r.Name] = run(id, start, build.Succeeded, build.ReasonSucceeded, 100)
		w.mu.Unlock()
		time.Sleep(6 * time.Second) // in the time of the bubble
		if got := reason(); got != "Succeeded" {
			t.Error(got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
