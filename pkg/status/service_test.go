// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/event/eventtest"
)

const (
	id    = "0190f2a4-6c3b-7a57-8f0e-0242ac120002"
	newer = "0190f2a4-6c3b-7a57-8f0e-0242ac120003"
)

// world is a double of everything that the service talks to.
type world struct {
	mu       sync.Mutex
	runs     map[string]build.Run
	watchers []func(build.Run, bool)
	objects  map[build.ObjectRef]object
	sent     []string
	events   []cloudevents.Event
	reads    int // of objects
	writes   int
	gets     int // of runs in full
	room     int // in bytes, for an object; any if 0
	fail     map[string]error
}

func newWorld(runs ...build.Run) *world {
	w := &world{
		runs:    map[string]build.Run{},
		objects: map[build.ObjectRef]object{{Application: "a"}: {}},
		fail:    map[string]error{},
	}
	for _, r := range runs {
		w.set(r)
	}
	return w
}

func (w *world) set(r build.Run) {
	w.mu.Lock()
	w.runs[r.Name] = r
	watchers := w.watchers
	w.mu.Unlock()
	for _, f := range watchers {
		f(r, false)
	}
}

func (w *world) remove(name string) {
	w.mu.Lock()
	r := w.runs[name]
	delete(w.runs, name)
	watchers := w.watchers
	w.mu.Unlock()
	for _, f := range watchers {
		f(r, true)
	}
}

func (w *world) Find(name string) (build.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.runs[name]
	if !ok {
		return r, build.ErrNotFound
	}
	return r, nil
}

func (w *world) List(q build.Query) (list []build.Run) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.runs {
		if q.Object != (build.ObjectRef{}) && q.Object != r.Object {
			continue
		}
		same := slices.IndexFunc(list, func(other build.Run) bool { return other.Object == r.Object })
		switch {
		case !q.Newest || same < 0:
			list = append(list, r)
		case r.Compare(list[same]) > 0:
			list[same] = r
		}
	}
	return list
}

func (w *world) Watch(f func(build.Run, bool)) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watchers = append(w.watchers, f)
	return func() {}
}

func (w *world) Get(_ context.Context, id string) (build.Run, error) {
	w.mu.Lock()
	w.gets++
	err := w.fail["get"]
	w.mu.Unlock()
	if err != nil {
		return build.Run{}, err
	}
	r, err := w.Find(build.RunName(id))
	r.Message += ": main.c:3:1: error"
	return r, err
}

func (w *world) Update(_ context.Context, o build.ObjectRef, change func(build.Object) (bool, error)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	was, ok := w.objects[o]
	if !ok {
		return build.ErrNoObject
	}
	next := object{}
	for k, v := range was {
		next[k] = v
	}
	changed, err := change(next)
	if err != nil || !changed {
		return err
	}
	if err := w.fail["update"]; err != nil {
		return err
	}
	size := 0
	for name, value := range next {
		size += len(name) + len(value)
	}
	if w.room > 0 && size > w.room {
		return build.ErrTooLarge
	}
	w.writes++
	w.objects[o] = next
	return nil
}

func (w *world) Send(_ context.Context, ev cloudevents.Event) error {
	w.sent, w.events = append(w.sent, ev.Type()+" "+ev.ID()), append(w.events, ev)
	return w.fail["send"]
}

func (w *world) service() *Service { return w.serviceAt(now) }

func (w *world) serviceAt(at time.Time) *Service {
	return New(Deps{State: w, Runs: w, Objects: w, Sender: w}, Options{
		Log: slog.New(
			slog.DiscardHandler,
		),
		Clock:  func() time.Time { return at },
		Events: eventtest.Options(at),
		Resync: 30 * time.Second,
	})
}

// deliver posts an event, signed if it is ours, and returns the status.
func (w *world) deliver(t *testing.T, s *Service, ev cloudevents.Event) int {
	t.Helper()
	srv := httptest.NewServer(s)
	defer srv.Close()
	reply, err := event.Send(t.Context(), srv.Client(), srv.URL, eventtest.Sign(t, ev))
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
	if err := ev.SetData(
		"application/json",
		fmt.Appendf(nil, `{"pipelineRun":{"metadata":{"name":%q,"uid":%q}}}`, name, uid),
	); err != nil {
		t.Fatal(err)
	}
	return ev
}

func finishedEvent(id string, phase build.Phase) string {
	return event.TypeFinished + " " + id + "/" + string(phase)
}

// TestEventsOfTektonAreHints: they queue a run that exists, and nothing else.
func TestEventsOfTektonAreHints(t *testing.T) {
	t.Parallel()
	r := run(id, now, build.Running, build.ReasonBuilding, 20)
	for name, tt := range map[string]struct {
		run, uid string
		queued   int
	}{
		"a run that exists":     {r.Name, "u", 1},
		"another of that name":  {r.Name, "other", 0},
		"one that is not there": {"somebody-elses", "u", 0},
	} {
		w := newWorld(r)
		s := w.service()
		if code := w.deliver(t, s, tekton(t, tt.run, tt.uid)); code != 202 || s.queue.Len() != tt.queued || w.reads != 0 {
			t.Errorf("%s: %d, %d in the queue", name, code, s.queue.Len())
		}
	}
}

func TestSync(t *testing.T) {
	t.Parallel()
	ended := run(id, now, build.Succeeded, build.ReasonSucceeded, 100)
	running := run(id, now, build.Running, build.ReasonBuilding, 20)
	for _, tt := range []struct {
		name   string
		run    build.Run
		fail   string
		err    error
		failed bool
		writes int
		sent   []string
	}{
		{
			"the start of a build is written and announced", running, "", nil, false, 1,
			[]string{event.TypeStarted + " " + id + "/started"},
		},
		{
			"a start that cannot be announced is written", running, "send", errors.New("away"), false, 1,
			[]string{event.TypeStarted + " " + id + "/started"},
		},
		{
			"the end of a build is announced and written",
			ended,
			"",
			nil,
			false,
			1,
			[]string{finishedEvent(id, build.Succeeded)},
		},
		{"an object that cannot be written is tried later", running, "update", errors.New("away"), true, 0, nil},
		{"an object that the registry never takes is given up", running, "update", build.ErrRejected, false, 0, nil},
		{"an object that we may not write is given up", running, "update", build.ErrForbidden, false, 0, nil},
		{
			"an end that cannot be announced is recorded, and tried later",
			ended,
			"send",
			errors.New("away"),
			true,
			1,
			[]string{finishedEvent(id, build.Succeeded)},
		},
		{
			"an object that was made anew is left alone",
			func() build.Run { r := ended; r.UIDs.Application = "earlier"; return r }(), "", nil, false, 0, nil,
		},
		{
			"an object that is gone is given up",
			func() build.Run { r := ended; r.Object.Application = "gone"; return r }(), "", nil, false, 0, nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(tt.run)
			for _, o := range w.objects {
				o["uid"] = []byte("uid")
			}
			w.fail[tt.fail] = tt.err
			err := w.service().sync(t.Context(), tt.run.Name)
			if (err != nil) != tt.failed || w.writes != tt.writes {
				t.Errorf("%v, %d writes", err, w.writes)
			}
			if diff := cmp.Diff(tt.sent, w.sent); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWhatIsWrittenIsReadOnce until a resync forgets it.
func TestWhatIsWrittenIsReadOnce(t *testing.T) {
	t.Parallel()
	for _, r := range []build.Run{
		run(id, now, build.Running, build.ReasonBuilding, 20), run(id, now, build.Succeeded, build.ReasonSucceeded, 100),
		run(id, now, build.Failed, build.ReasonBuildFailed, 20),
	} {
		w := newWorld(r)
		s := w.service()
		for range 5 {
			if err := s.sync(t.Context(), r.Name); err != nil {
				t.Fatal(err)
			}
		}
		if w.reads != 1 || w.gets > 1 || len(w.sent) > 1 {
			t.Errorf("%s: %d reads of the object, %d of the run, sent %v", r.Reason, w.reads, w.gets, w.sent)
		}
		s.memory.forget(r.Object)
		if err := s.sync(t.Context(), r.Name); err != nil || w.reads != 2 || w.writes != 1 {
			t.Errorf("%s: %d reads, %d writes, %v", r.Reason, w.reads, w.writes, err)
		}
	}
}

// TestAProgressIsWrittenWhenItHasMoved enough: each write is a change that everybody hears of.
func TestAProgressIsWrittenWhenItHasMoved(t *testing.T) {
	t.Parallel()
	r := run(id, now, build.Running, build.ReasonBuilding, 20)
	w := newWorld(r)
	s := w.service()
	var got []float64
	for _, progress := range []float64{20, 21, 24.9, 25, 29, 31, 90} {
		r.Progress = progress
		w.set(r)
		if err := s.sync(t.Context(), r.Name); err != nil {
			t.Fatal(err)
		}
		got = append(got, build.RecordOf(w.objects[r.Object], now).Progress)
	}
	if diff := cmp.Diff([]float64{20, 20, 20, 25, 25, 31, 90}, got); diff != "" {
		t.Error(diff)
	}
}

// TestTheLogOfAFailedBuildIsQuoted, also when it can be read at the second attempt only.
func TestTheLogOfAFailedBuildIsQuoted(t *testing.T) {
	t.Parallel()
	r := run(id, now, build.Failed, build.ReasonBuildFailed, 20)
	r.Message = "The builder exited with code 1"
	w := newWorld(r)
	s := w.service()
	w.fail["get"] = errors.New("away")
	if err := s.sync(t.Context(), r.Name); err == nil || w.writes != 0 {
		t.Error(err)
	}
	delete(w.fail, "get")
	if err := s.sync(t.Context(), r.Name); err != nil {
		t.Error(err)
	}
	if got := build.RecordOf(
		w.objects[r.Object],
		now,
	).Message; got != "The builder exited with code 1: main.c:3:1: error" {
		t.Error(got)
	}
}

// TestAnEndThatWasNotAnnouncedIsAnnouncedLater: subscribers may be away.
func TestAnEndThatWasNotAnnouncedIsAnnouncedLater(t *testing.T) {
	t.Parallel()
	r := run(id, now, build.Succeeded, build.ReasonSucceeded, 100)
	w := newWorld(r)
	s := w.service()
	w.fail["send"] = errors.New("away")
	_ = s.sync(t.Context(), r.Name) // which is tested elsewhere
	if got := build.RecordOf(w.objects[r.Object], now); !got.Unannounced || got.Phase != build.Succeeded {
		t.Errorf("%+v", got)
	}
	delete(w.fail, "send")
	for _, s := range []*Service{s, w.service(), w.service()} { // and by a different replica
		if err := s.sync(t.Context(), r.Name); err != nil {
			t.Error(err)
		}
	}
	if got := build.RecordOf(w.objects[r.Object], now); got.Unannounced || len(w.sent) != 2 || w.sent[0] != w.sent[1] {
		t.Errorf("%+v %v", got, w.sent)
	}
}

// TestAnOlderBuildIsAnnouncedOnce, and its object is not read for it.
func TestAnOlderBuildIsAnnouncedOnce(t *testing.T) {
	t.Parallel()
	r := run(id, now.Add(-time.Minute), build.Cancelled, build.ReasonSuperseded, 20)
	w := newWorld(r, run(newer, now, build.Running, build.ReasonBuilding, 20))
	s := w.service()
	for range 3 {
		if err := s.sync(t.Context(), r.Name); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{finishedEvent(id, build.Cancelled)}, w.sent); diff != "" || w.reads != 0 {
		t.Error(diff, w.reads)
	}
}

// TestAnEndIsAnnouncedOnceThoughItsObjectRefusesIt: nobody mends that by a second request.
func TestAnEndIsAnnouncedOnceThoughItsObjectRefusesIt(t *testing.T) {
	t.Parallel()
	for _, refusal := range []error{build.ErrRejected, build.ErrForbidden, errors.New("away")} {
		r := run(id, now, build.Succeeded, build.ReasonSucceeded, 100)
		w := newWorld(r)
		w.fail["update"] = refusal
		s := w.service()
		for range 3 {
			_ = s.sync(t.Context(), r.Name) // which is tested elsewhere
			s.memory.forget(r.Object)
		}
		if len(w.sent) != 1 {
			t.Errorf("%v: %v", refusal, w.sent)
		}
	}
}

// TestABuildThatEndedTwiceIsAnnouncedTwice: it was given up before it had a run, or its run
// was deleted and recreated.
func TestABuildThatEndedTwiceIsAnnouncedTwice(t *testing.T) {
	t.Parallel()
	givenUp := run(id, now, build.Failed, build.ReasonInternalError, 0)
	givenUp.Started = time.Time{}
	deleted := run(id, now, build.Failed, build.ReasonInternalError, 20)
	recreated := run(id, now, build.Succeeded, build.ReasonSucceeded, 100)
	recreated.Started, recreated.Completed = now.Add(time.Hour), now.Add(2*time.Hour)
	for name, first := range map[string]build.Run{"given up": givenUp, "deleted": deleted} {
		w := newWorld(recreated)
		s := w.serviceAt(now.Add(3 * time.Hour))
		if err := s.write(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.sync(t.Context(), recreated.Name); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{finishedEvent(id, build.Failed), finishedEvent(id, build.Succeeded)}
		if diff := cmp.Diff(
			want,
			w.sent,
		); diff != "" ||
			build.RecordOf(w.objects[recreated.Object], s.Clock()).Phase != build.Succeeded {
			t.Errorf("%s: %s %v", name, diff, build.RecordOf(w.objects[recreated.Object], s.Clock()))
		}
	}
}

func TestARejectionIsAConditionOnTheObject(t *testing.T) {
	t.Parallel()
	w := newWorld()
	ev, err := event.Rejected(event.SourceAPI, build.Rejection{
		ID:      id,
		Object:  build.ObjectRef{Application: "a"},
		Reason:  build.ReasonInvalidBuildSpec,
		Message: "timeout: \x1b[31mwrong",
		Time:    now,
	})
	if err != nil {
		t.Fatal(err)
	}
	if code := w.deliver(t, w.service(), ev); code != 202 {
		t.Fatal(code)
	}
	want := []build.Condition{
		{
			Type:               "BuildStatus",
			Status:             "False",
			Reason:             "InvalidBuildSpec",
			Message:            "timeout: [31mwrong",
			LastTransitionTime: now,
		},
		{Type: "BuildProgress", Status: "False", Message: "0.0 %", LastTransitionTime: now},
	}
	if diff := cmp.Diff(want, firmware(t, w.objects[build.ObjectRef{Application: "a"}]).Conditions); diff != "" {
		t.Error(diff)
	}
}

// TestOnlySignedEventsAreBelieved, delivered or as dead letters.
// TestTheEndFitsWhereTheBeginningDid: whatever room is left, the object does not say for ever
// that the build runs.
func TestTheEndFitsWhereTheBeginningDid(t *testing.T) {
	t.Parallel()
	running := run("1", now, build.Running, build.ReasonFetchingSource, 5)
	ended := run("1", now, build.Succeeded, build.ReasonSucceeded, 100)
	ended.Message, ended.Warnings = strings.Repeat("m", 200), []string{strings.Repeat("w", 200)}
	ended.Commit, ended.Artifact = strings.Repeat("c", 40), &build.Artifact{Reference: strings.Repeat("r", 200)}
	messages := map[string]bool{}
	for more := range 2000 {
		w := newWorld(running)
		s := w.service()
		if err := s.sync(t.Context(), running.Name); err != nil {
			t.Fatal(err)
		}
		for name, value := range w.objects[running.Object] {
			w.room += len(name) + len(value)
		}
		w.room += more
		w.set(ended)
		if err := s.sync(t.Context(), ended.Name); err != nil {
			t.Fatal(err)
		}
		got := firmware(t, w.objects[running.Object]).Conditions[0]
		if got.Status != "True" || got.Reason != "Succeeded" {
			t.Fatalf("with %d bytes more: %+v", more, got)
		}
		messages[got.Message] = true
		writes := w.writes
		if s.memory.forget(ended.Object); s.sync(t.Context(), ended.Name) != nil || w.writes != writes {
			t.Fatalf("with %d bytes more it is written anew", more)
		}
		if !slices.Equal(w.sent, []string{event.TypeStarted + " 1/started", event.TypeFinished + " " + w.events[1].ID()}) {
			t.Fatalf("with %d bytes more: %v", more, w.sent)
		}
	}
	want := map[string]bool{
		messageNoRoom: true, ended.Message: true, ended.Message + ". Warning: " + ended.Warnings[0]: true,
	}
	if diff := cmp.Diff(want, messages); diff != "" {
		t.Error(diff)
	}
}

func TestOnlySignedEventsAreBelieved(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/", DeadLetterPath} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			eventtest.Forgeries(t, now, func(t *testing.T, o event.Options, ev cloudevents.Event) int {
				t.Helper()
				w := newWorld()
				w.objects[eventtest.Object] = object{}
				srv := httptest.NewServer(
					New(Deps{State: w, Runs: w, Objects: w, Sender: w}, Options{Log: o.Log, Clock: o.Clock, Events: o}),
				)
				defer srv.Close()
				reply, err := event.Send(t.Context(), srv.Client(), srv.URL+path, ev)
				if err != nil || w.reads+w.writes+len(w.sent) > 0 {
					t.Errorf("%s: %v, %d reads, sent %v", ev.Type(), err, w.reads, w.sent)
				}
				return reply.Status
			})
		})
	}
}

// led runs the service as the leader, in a bubble of time.
func led(t *testing.T, w *world) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := New(Deps{State: w, Runs: w, Objects: w, Sender: w}, Options{
		Log: slog.New(slog.DiscardHandler), Clock: time.Now, Events: eventtest.Options(now), Resync: 30 * time.Second,
	})
	done := make(chan error, 2)
	go func() { done <- s.Run(ctx) }()
	go func() { done <- s.Lead(ctx) }()
	return func() {
		cancel()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Error(err)
		}
	}
}

func (w *world) reason(t *testing.T, o build.ObjectRef) string {
	t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return firmware(t, w.objects[o]).Conditions[0].Reason
}

// TestTheLeaderWritesWhatChanges, without any event.
func TestTheLeaderWritesWhatChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		old := run(newer, start.Add(-2*time.Hour), build.Failed, build.ReasonTimedOut, 20)
		r := run(id, start, build.Running, build.ReasonBuilding, 20)
		w := newWorld(old, r)
		stop := led(t, w)
		defer stop()
		if got := w.reason(t, r.Object); got != "Building" {
			t.Error(got)
		}
		time.Sleep(time.Minute)
		ended := run(id, start, build.Succeeded, build.ReasonSucceeded, 100)
		ended.Completed = time.Now()
		w.set(ended)
		if got := w.reason(t, r.Object); got != "Succeeded" {
			t.Error(got)
		}
		w.mu.Lock()
		w.objects[r.Object][sectionFirmware] = []byte(`{"conditions":[]}`) // by a report of a device
		w.mu.Unlock()
		time.Sleep(31 * time.Second)
		if got := w.reason(t, r.Object); got != "Succeeded" {
			t.Error(got)
		}
	})
}

func TestWorkThatFailsIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := run(id, time.Now(), build.Running, build.ReasonBuilding, 20)
		w := newWorld(r)
		w.fail["update"] = errors.New("away")
		stop := led(t, w)
		defer stop()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		w.mu.Lock()
		tries := w.reads
		delete(w.fail, "update")
		w.mu.Unlock()
		if tries < 3 || tries > 20 {
			t.Errorf("%d attempts in 5 seconds", tries)
		}
		time.Sleep(lastRetry)
		if got := w.reason(t, r.Object); got != "Building" {
			t.Error(got)
		}
	})
}

// TestARunThatIsDeletedEndsItsBuild: nothing else will report it.
func TestARunThatIsDeletedEndsItsBuild(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := run(id, time.Now(), build.Running, build.ReasonBuilding, 20)
		ended := run(newer, time.Now(), build.Succeeded, build.ReasonSucceeded, 100)
		ended.Object, ended.Completed = build.ObjectRef{Application: "b"}, time.Now()
		w := newWorld(r, ended)
		w.objects[ended.Object] = object{}
		stop := led(t, w)
		defer stop()
		synctest.Wait()
		w.mu.Lock()
		w.fail["update"] = errors.New("away")
		w.mu.Unlock()
		w.remove(r.Name)
		w.remove(ended.Name)
		synctest.Wait()
		w.mu.Lock()
		delete(w.fail, "update")
		w.mu.Unlock()
		time.Sleep(time.Second)
		for o, want := range map[build.ObjectRef]string{r.Object: "InternalError", ended.Object: "Succeeded"} {
			if got := w.reason(t, o); got != want {
				t.Errorf("%s: %s", o, got)
			}
		}
	})
}

// TestAStartIsAnnouncedOnce: not with every step of the build, nor by the next process.
func TestAStartIsAnnouncedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(run(id, now, build.Queued, build.ReasonQueued, 0))
	for _, r := range []build.Run{
		run(id, now, build.Queued, build.ReasonQueued, 0),
		run(id, now, build.Running, build.ReasonFetchingSource, 5),
		run(id, now, build.Running, build.ReasonBuilding, 20),
		run(id, now, build.Running, build.ReasonPublishing, 85),
	} {
		w.set(r)
		for range 2 {
			if err := w.service().sync(t.Context(), r.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff([]string{event.TypeStarted + " " + id + "/started"}, w.sent); diff != "" {
		t.Error(diff)
	}
	started, err := event.DecodeBuild(w.events[0])
	if err != nil || started.ID != id || started.Phase != build.Running {
		t.Error(started, err)
	}
}

// TestAnEndIsCountedOnce, that of a build whose object shows a newer one, too; and each writing by what
// came of it.
func TestAnEndIsCountedOnce(t *testing.T) {
	t.Parallel()
	older := run(id, now.Add(-time.Minute), build.Cancelled, build.ReasonSuperseded, 20)
	newest := run(newer, now, build.Running, build.ReasonBuilding, 20)
	w := newWorld(older, newest)
	s := w.service()
	var got []string
	s.Ended = func(_ context.Context, r build.Run) { got = append(got, r.ID+" "+string(r.Reason)) }
	s.Wrote = func(_ context.Context, outcome string) { got = append(got, outcome) }
	syncAll := func() {
		for range 2 {
			for _, r := range []build.Run{older, newest} {
				s.memory.forget(r.Object)
				_ = s.sync(t.Context(), r.Name) // which is tested elsewhere
			}
		}
	}
	syncAll()
	newest.Phase, newest.Reason, newest.Completed = build.Failed, build.ReasonBuildFailed, now
	w.set(newest)
	w.fail["update"] = errors.New("away")
	syncAll()
	w.fail["update"] = build.ErrNoObject
	syncAll()
	delete(w.fail, "update")
	syncAll()
	want := []string{
		id + " Superseded",
		"written",
		"unchanged",
		"failed",
		"failed",
		"refused",
		"refused",
		newer + " BuildFailed",
		"written",
		"unchanged",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
