// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/builder"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/event/eventtest"
)

var (
	now    = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	object = build.ObjectRef{Application: "greenhouse"}
)

const section = `{"container":{"image":"a:1","build":{"image":"b","source":{"git":{"uri":"https://h/r"}},"artifact":{"path":"f"}%s}}}`

func id(n int) string { return fmt.Sprintf("0190f2a4-6c3b-7a57-8f0e-%012d", n) }

func describe(t *testing.T, more string) (string, build.Description) {
	t.Helper()
	text := fmt.Sprintf(section, more)
	d, err := build.Parse(json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	return text, d
}

// world is a double of everything that the builder talks to. It records what is done, and
// fails where it is asked to.
type world struct {
	runs    []build.Run
	section string
	record  string
	uid     string
	done    []string
	created []build.Spec
	sent    []cloudevents.Event
	fail    map[string]error
	options builder.Options
}

func (w *world) find(id string) (build.Run, error) {
	if i := slices.IndexFunc(w.runs, func(r build.Run) bool { return r.ID == id }); i >= 0 {
		return w.runs[i], nil
	}
	return build.Run{}, build.ErrNotFound
}

func (w *world) Find(name string) (build.Run, error) {
	if i := slices.IndexFunc(w.runs, func(r build.Run) bool { return build.RunName(r.ID) == name }); i >= 0 {
		return w.runs[i], nil
	}
	return build.Run{}, build.ErrNotFound
}

func (w *world) Get(_ context.Context, id string) (build.Run, error) {
	if err := w.fail["get"]; err != nil {
		return build.Run{}, err
	}
	return w.find(id)
}

func (w *world) ListObject(context.Context, build.ObjectRef) ([]build.Run, error) {
	return w.runs, w.fail["list"]
}

func (w *world) Create(_ context.Context, s build.Spec) error {
	if err := w.fail["create"]; err != nil {
		return err
	}
	if _, err := w.find(s.ID); err == nil {
		return nil
	}
	w.created = append(w.created, s)
	w.runs = append(w.runs, build.Run{ID: s.ID, Object: s.Object, UIDs: s.UIDs, Pending: true, Status: build.Status{
		Phase: build.Queued, Requested: s.Requested, DescriptionHash: s.Hash, Cause: s.Cause,
	}})
	return nil
}

func (w *world) Cancel(_ context.Context, r build.Run, reason build.Reason, by string) error {
	w.done = append(w.done, fmt.Sprintf("cancel %s %s %s", r.ID, reason, by))
	return w.fail["cancel"]
}

func (w *world) Object(_ context.Context, o build.ObjectRef) (build.Object, error) {
	return document{w.section, w.record, w.uidOf(o)}, w.fail["object"]
}

func (w *world) EachApplication(context.Context, func(build.ObjectRef, build.Object) error) error {
	return nil
}

func (w *world) EachDevice(context.Context, string, func(build.ObjectRef, build.Object) error) error {
	return nil
}

// uidOf returns the uid of an object; uid tells it apart from earlier ones of its name.
func (w *world) uidOf(o build.ObjectRef) string {
	if w.uid == "" {
		return "uid-" + o.String()
	}
	return w.uid + "-" + o.String()
}

// document is a Drogue object with a section spec.firmware and a record.
type document struct{ section, record, uid string }

func (d document) UID() string                       { return d.uid }
func (d document) Labels() map[string]string         { return nil }
func (d document) Firmware() json.RawMessage         { return json.RawMessage(d.section) }
func (d document) SetStatus(string, json.RawMessage) {}
func (d document) Status(section string) json.RawMessage {
	if section != build.SectionRecord || d.record == "" {
		return nil
	}
	return json.RawMessage(d.record)
}

func (w *world) Send(_ context.Context, ev cloudevents.Event) error {
	w.sent = append(w.sent, ev)
	return w.fail["send"]
}

// deliver posts an event, signed if it is ours, and returns the status.
func (w *world) deliver(t *testing.T, ev cloudevents.Event, err error) int {
	t.Helper()
	return deliver(t, w, w.options, ev, err)
}

// parts is a double of all that a builder works with.
type parts interface {
	builder.Finder
	builder.Runs
	builder.Canceller
	builder.Objects
	builder.Lister
	event.Sender
}

func deliver(t *testing.T, w parts, o builder.Options, ev cloudevents.Event, err error) int {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	o.Log, o.Clock, o.Events = slog.New(slog.DiscardHandler), func() time.Time { return now }, eventtest.Options(now)
	srv := httptest.NewServer(
		builder.New(builder.Deps{State: w, Runs: w, Canceller: w, Objects: w, List: w, Sender: w}, o),
	)
	defer srv.Close()
	reply, err := event.Send(t.Context(), srv.Client(), srv.URL, eventtest.Sign(t, ev))
	if err != nil || len(reply.Body) > 0 {
		t.Fatal(reply, err)
	}
	return reply.Status
}

func (w *world) deliverRequest(t *testing.T, r build.Request) int {
	t.Helper()
	ev, err := event.Requested(event.SourceAPI, r)
	return w.deliver(t, ev, err)
}

// rejection returns the one rejection that was sent.
func (w *world) rejection(t *testing.T) build.Rejection {
	t.Helper()
	if len(w.sent) != 1 {
		t.Fatalf("sent %v", w.sent)
	}
	r, err := event.DecodeRejected(w.sent[0])
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestARequestBecomesAPendingRunOfWhatTheObjectSays(t *testing.T) {
	t.Parallel()
	text, d := describe(t, "")
	w := &world{section: text}
	request := build.Request{
		ID:              id(5),
		Object:          object,
		DescriptionHash: "of another description",
		Requester:       "alice",
		Cause:           build.CauseAPI,
		Time:            now,
	}
	for range 3 { // it may be redelivered
		if code := w.deliverRequest(t, request); code != 202 {
			t.Fatal(code)
		}
	}
	want := []build.Spec{
		{
			ID:          id(5),
			Object:      object,
			UIDs:        build.UIDs{Application: "uid-greenhouse"},
			Description: d,
			Hash:        d.Hash(),
			Requester:   "alice",
			Cause:       build.CauseAPI,
			Requested:   now,
		},
	}
	if diff := cmp.Diff(want, w.created); diff != "" || len(w.sent) > 0 {
		t.Error(diff, w.sent)
	}
}

func TestRequested(t *testing.T) {
	t.Parallel()
	good, _ := describe(t, "")
	for _, tt := range []struct {
		name    string
		section string
		ago     time.Duration
		fail    map[string]error
		code    int
		reason  build.Reason // of the rejection, "" for none
		created int
	}{
		{"a request creates a run", good, 0, nil, 202, "", 1},
		{
			"a description that became wrong is rejected",
			fmt.Sprintf(section, `,"timeout":"x"`),
			0,
			nil,
			202,
			build.ReasonInvalidBuildSpec,
			0,
		},
		{"a description that is gone is rejected", "", 0, nil, 202, build.ReasonInvalidBuildSpec, 0},
		{"an object that is gone has nobody to report to", "", 0, map[string]error{"object": build.ErrNoObject}, 202, "", 0},
		{
			"an object that we may not read has nobody to report to",
			"",
			0,
			map[string]error{"object": build.ErrForbidden},
			202,
			"",
			0,
		},
		{"a registry that is away loses nothing", "", 0, map[string]error{"object": errors.New("away")}, 503, "", 0},
		{"credentials that expired lose nothing", "", 0, map[string]error{"object": build.ErrUnauthenticated}, 503, "", 0},
		{"a cluster that is away loses nothing", good, 0, map[string]error{"create": errors.New("away")}, 503, "", 0},
		{
			"a run that is refused is rejected",
			good,
			0,
			map[string]error{"create": fmt.Errorf("%w: forbidden", build.ErrRefused)},
			202,
			build.ReasonInternalError,
			0,
		},
		{"a request of an hour ago still creates one", good, time.Hour, nil, 202, "", 1},
		{
			"an older one, whose run may be deleted already, is rejected",
			good,
			time.Hour + time.Second,
			nil,
			202,
			build.ReasonInternalError,
			0,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &world{section: tt.section, fail: tt.fail}
			code := w.deliverRequest(t, build.Request{ID: id(5), Object: object, Cause: build.CauseAPI, Time: now.Add(-tt.ago)})
			if code != tt.code || len(w.created) != tt.created {
				t.Errorf("status %d, created %v", code, w.created)
			}
			if tt.reason == "" {
				if len(w.sent) > 0 {
					t.Errorf("sent %v", w.sent)
				}
				return
			}
			want := build.Rejection{ID: id(5), Object: object, Reason: tt.reason, Time: now.Add(-tt.ago)}
			if tt.reason == build.ReasonInvalidBuildSpec {
				want.Section = build.SectionHash(json.RawMessage(tt.section))
			}
			got := w.rejection(t)
			if got.Message == "" {
				t.Error("the rejection says nothing")
			}
			got.Message = ""
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRepublish: an event says which build, and no more.
func TestRepublish(t *testing.T) {
	t.Parallel()
	d := build.Description{Registry: build.OCI, Image: "a:1"}
	failed := build.Run{
		ID: id(
			1,
		),
		Object:      object,
		Description: d,
		Retained:    &build.Retained{Build: id(1), Claim: "pvc-1", Version: "4f1c2ab"},
		Status:      build.Status{Phase: build.Failed, Commit: "4f1c2abx", DescriptionHash: "h"},
	}
	repeated := failed
	repeated.ID = id(2)
	running, foreign := failed, failed
	running.Phase, running.Retained = build.Running, nil
	foreign.Object = build.ObjectRef{Application: "of somebody else"}
	earlier := failed
	earlier.UIDs = build.UIDs{Application: "uid-of-an-earlier-greenhouse"}
	want := &build.Publication{
		Build:    id(1),
		Commit:   "4f1c2abx",
		Claim:    "pvc-1",
		Artifact: build.Artifact{Version: "4f1c2ab"},
	}
	for name, tt := range map[string]struct {
		runs    []build.Run
		of      string
		refused string
	}{
		"publishes a build whose workspace is retained":       {[]build.Run{failed}, id(1), ""},
		"publishes the one that failed to publish it":         {[]build.Run{failed, repeated}, id(2), ""},
		"refuses one whose workspace is gone with its build":  {[]build.Run{repeated}, id(2), "is gone"},
		"refuses a build that does not exist":                 {nil, id(1), "does not exist"},
		"refuses a build of another object":                   {[]build.Run{foreign}, id(1), "does not exist"},
		"refuses a build of an earlier object of the name":    {[]build.Run{earlier}, id(1), "earlier object"},
		"refuses a build that runs":                           {[]build.Run{running}, id(1), "not ended"},
		"leaves a request alone that was carried out already": {[]build.Run{{ID: id(5), Object: object}}, id(1), "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{runs: tt.runs}
			ev, err := event.Republish(
				event.SourceAPI,
				build.Republish{ID: id(5), Object: object, Of: tt.of, Requester: "alice", Time: now},
			)
			if code := w.deliver(t, ev, err); code != 202 {
				t.Error(code)
			}
			switch tt.refused {
			case "":
				spec := []build.Spec{
					{
						ID: id(
							5,
						),
						Object:      object,
						UIDs:        build.UIDs{Application: "uid-greenhouse"},
						Description: d,
						Hash:        "h",
						Requester:   "alice",
						Cause:       build.CausePublish,
						Requested:   now,
						Publication: want,
					},
				}
				if diff := cmp.Diff(spec, w.created); diff != "" {
					t.Error(diff)
				}
			case "-":
				if len(w.created)+len(w.sent) > 0 {
					t.Error(w.created, w.sent)
				}
			default:
				if r := w.rejection(
					t,
				); r.Reason != build.ReasonArtifactNotFound || !strings.Contains(r.Message, tt.refused) ||
					len(w.created) > 0 {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	run := func(phase build.Phase, change func(*build.Run)) []build.Run {
		r := build.Run{ID: id(5), Object: object, Status: build.Status{Phase: phase}}
		if change != nil {
			change(&r)
		}
		return []build.Run{r}
	}
	for _, tt := range []struct {
		name string
		runs []build.Run
		err  error
		code int
		done int
	}{
		{"a running build is cancelled", run(build.Running, nil), nil, 202, 1},
		{"a pending build is cancelled", run(build.Queued, func(r *build.Run) { r.Pending = true }), nil, 202, 1},
		{"a build that has ended is left alone", run(build.Succeeded, nil), nil, 202, 0},
		{
			"a build that is being cancelled is left alone",
			run(build.Running, func(r *build.Run) { r.Cancelling = true }),
			nil,
			202,
			0,
		},
		{"a build that is not there yet is tried again", nil, nil, 503, 0},
		{"a build that starts in between is tried again", run(build.Queued, nil), build.ErrChanged, 503, 1},
		{"an unreachable cluster is tried again", run(build.Running, nil), errors.New("away"), 503, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &world{runs: tt.runs, fail: map[string]error{"cancel": tt.err}}
			ev, err := event.Cancelled(
				event.SourceAPI,
				build.Cancellation{ID: id(5), Object: object, Requester: "alice", Time: now},
			)
			if code := w.deliver(t, ev, err); code != tt.code || len(w.done) != tt.done {
				t.Errorf("status %d, %v", code, w.done)
			}
			if tt.done > 0 && w.done[0] != "cancel "+id(5)+" Cancelled alice" {
				t.Error(w.done)
			}
		})
	}
}

func changed(subject string) cloudevents.Event {
	ev := cloudevents.NewEvent()
	ev.SetID("1")
	ev.SetType(event.TypeApplicationChange)
	ev.SetSource("drogue:/drogue/greenhouse")
	ev.SetSubject(subject)
	ev.SetExtension("application", "greenhouse")
	return ev
}

func TestChanged(t *testing.T) {
	t.Parallel()
	good, d := describe(t, "")
	built := build.Run{
		ID:     id(1),
		Object: object,
		Status: build.Status{Requested: now, Phase: build.Succeeded, DescriptionHash: d.Hash()},
	}
	other := built
	other.DescriptionHash = "other"
	repeated := other
	repeated.ID, repeated.Cause, repeated.Requested = id(2), build.CausePublish, now.Add(time.Minute)
	for _, tt := range []struct {
		name, subject, section string
		runs                   []build.Run
		fail                   map[string]error
		created, rejected      int
		code                   int
	}{
		{"a description without a build is built", ".spec.firmware", good, nil, nil, 1, 0, 202},
		{"a new object with a description is built", ".", good, nil, nil, 1, 0, 202},
		{
			"another description than that of the newest build is built",
			".spec.firmware",
			good,
			[]build.Run{other},
			nil,
			1,
			0,
			202,
		},
		{
			"the description of the newest build is not built again",
			".spec.firmware",
			good,
			[]build.Run{built},
			nil,
			0,
			0,
			202,
		},
		{
			"a manual description is not built",
			".spec.firmware",
			fmt.Sprintf(section, `,"triggers":["manual"]`),
			nil,
			nil,
			0,
			0,
			202,
		},
		{"a wrong description is rejected", ".spec.firmware", fmt.Sprintf(section, `,"timeout":"x"`), nil, nil, 0, 1, 202},
		{"a description that is gone is nothing to build", ".spec.firmware", "", nil, nil, 0, 0, 202},
		{
			"our own status write is passed over",
			".status.firmware",
			good,
			nil,
			map[string]error{"object": errors.New("must not be asked")},
			0,
			0,
			202,
		},
		{"an object that is gone is passed over", ".", "", nil, map[string]error{"object": build.ErrNoObject}, 0, 0, 202},
		{
			"an object that we may not read is passed over",
			".",
			"",
			nil,
			map[string]error{"object": build.ErrForbidden},
			0,
			0,
			202,
		},
		{
			"credentials that expired lose nothing",
			".",
			"",
			nil,
			map[string]error{"object": build.ErrUnauthenticated},
			0,
			0,
			503,
		},
		{
			"what was published again says nothing of the description",
			".spec.firmware",
			good,
			[]build.Run{built, repeated},
			nil,
			0,
			0,
			202,
		},
		{"a registry that is away is tried again", ".", "", nil, map[string]error{"object": errors.New("away")}, 0, 0, 503},
		{
			"a cluster that cannot be asked is tried again",
			".",
			good,
			nil,
			map[string]error{"list": errors.New("away")},
			0,
			0,
			503,
		},
		{
			"a cluster that takes no run is tried again",
			".",
			good,
			nil,
			map[string]error{"create": errors.New("away")},
			0,
			0,
			503,
		},
		{
			"a broker that is away is tried again",
			".",
			fmt.Sprintf(section, `,"timeout":"x"`),
			nil,
			map[string]error{"send": errors.New("away")},
			0,
			1,
			503,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &world{runs: tt.runs, section: tt.section, fail: tt.fail}
			if code := w.deliver(t, changed(tt.subject), nil); code != tt.code || len(w.created) != tt.created ||
				len(w.sent) != tt.rejected {
				t.Errorf("status %d, created %v, sent %v", code, w.created, w.sent)
			}
			for _, s := range w.created {
				want := build.Spec{
					ID:          s.ID,
					Object:      object,
					UIDs:        build.UIDs{Application: "uid-greenhouse"},
					Description: d,
					Hash:        d.Hash(),
					Cause:       build.CauseChange,
					Requested:   now,
				}
				if diff := cmp.Diff(want, s); diff != "" || !build.ValidID(s.ID) {
					t.Error(diff)
				}
			}
		})
	}
}

func TestAChangeThatIsSeenTwiceIsOneBuild(t *testing.T) {
	t.Parallel()
	first, _ := describe(t, "")
	second, _ := describe(t, `,"timeout":"2m"`)
	w := &world{}
	ids := map[string]bool{}
	for i, text := range []string{first, first, second, second, first, first} { // and back
		w.section = text
		if code := w.deliver(t, changed(".spec.firmware"), nil); code != 202 {
			t.Fatal(code)
		}
		newest := &w.runs[len(w.runs)-1]
		ids[newest.ID] = true
		newest.Requested = now.Add(time.Duration(i) * time.Second)
	}
	if len(w.created) != 3 || len(ids) != 3 {
		t.Errorf("created %v", w.created)
	}
}

// TestAnObjectThatWasMadeAnewIsADifferentOne: somebody else may have made it, and it has the
// description, the builds and the record of the earlier one of its name no more than others.
func TestAnObjectThatWasMadeAnewIsADifferentOne(t *testing.T) {
	t.Parallel()
	text, d := describe(t, "")
	w := &world{section: text}
	for i, uid := range []string{"first", "first", "second", "second"} {
		w.uid = uid
		ofDevice := changed(".spec.firmware")
		ofDevice.SetType(event.TypeDeviceChange)
		ofDevice.SetExtension("device", "sensor")
		for _, ev := range []cloudevents.Event{changed(".spec.firmware"), ofDevice} {
			if code := w.deliver(t, ev, nil); code != 202 {
				t.Fatal(code)
			}
		}
		newest := w.runs[len(w.runs)-1]
		w.runs[len(w.runs)-1].Requested = now.Add(time.Duration(i) * time.Second)
		w.setRecord(t, build.Record{Build: newest.ID, Object: newest.UIDs.Of(), Status: build.Status{
			Phase: build.Succeeded, Reason: build.ReasonSucceeded, Started: now, Requested: now, DescriptionHash: d.Hash(),
		}})
	}
	var got []build.UIDs
	ids := map[string]bool{}
	for _, s := range w.created {
		got = append(got, s.UIDs)
		ids[s.ID] = true
	}
	want := []build.UIDs{
		{Application: "first-greenhouse"},
		{Application: "first-greenhouse", Device: "first-greenhouse/sensor"},
		{Application: "second-greenhouse"},
		{Application: "second-greenhouse", Device: "second-greenhouse/sensor"},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(ids) != len(want) {
		t.Error(len(ids), diff)
	}
}

// TestADescriptionThatBecameValidIsBuilt though it is that of the newest build: the object
// says that it is wrong.
func TestADescriptionThatBecameValidIsBuilt(t *testing.T) {
	t.Parallel()
	good, d := describe(t, "")
	w := &world{section: good, runs: []build.Run{
		{
			ID: id(
				1,
			),
			Object: object,
			Status: build.Status{Requested: now.Add(-time.Hour), Phase: build.Succeeded, DescriptionHash: d.Hash()},
		},
	}}
	w.setRecord(
		t,
		build.Record{
			Build:  id(9),
			Status: build.Status{Phase: build.Failed, Reason: build.ReasonInvalidBuildSpec, Requested: now},
		},
	)
	for range 2 { // before the object says what became of it
		w.deliver(t, changed(".spec.firmware"), nil)
	}
	if len(w.created) != 1 {
		t.Errorf("created %v", w.created)
	}
}

func (w *world) setRecord(t *testing.T, r build.Record) {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	w.record = string(data)
}

// TestADescriptionWhoseRunIsGoneIsNotRebuilt: others may delete runs, too.
func TestADescriptionWhoseRunIsGoneIsNotRebuilt(t *testing.T) {
	t.Parallel()
	good, d := describe(t, "")
	status := func(phase build.Phase, reason build.Reason, started time.Time, hash string) build.Record {
		return build.Record{
			Build:  id(1),
			Status: build.Status{Phase: phase, Reason: reason, Started: started, Requested: now, DescriptionHash: hash},
		}
	}
	planted := status(build.Succeeded, build.ReasonSucceeded, now, d.Hash())
	planted.Requested = now.Add(time.Hour)
	for name, tt := range map[string]struct {
		record  build.Record
		created int
	}{
		"built before":          {status(build.Succeeded, build.ReasonSucceeded, now, d.Hash()), 0},
		"another one was built": {status(build.Succeeded, build.ReasonSucceeded, now, "other"), 1},
		"it never began":        {status(build.Failed, build.ReasonInternalError, time.Time{}, d.Hash()), 1},
		"of the future":         {planted, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			older := build.Run{
				ID:     id(0),
				Object: object,
				Status: build.Status{Requested: now.Add(-time.Hour), Phase: build.Succeeded, DescriptionHash: "older"},
			}
			for _, runs := range [][]build.Run{nil, {older}} {
				w := &world{section: good, runs: runs}
				w.setRecord(t, tt.record)
				if w.deliver(t, changed("."), nil); len(w.created) != tt.created {
					t.Error(runs, w.created)
				}
			}
		})
	}
}

// TestWhatThePolicyDoesNotAdmitIsRejected, whoever asks for it: a call, a change, or somebody who
// republishes what an earlier policy admitted.
func TestWhatThePolicyDoesNotAdmitIsRejected(t *testing.T) {
	t.Parallel()
	foreign, d := describe(t, "") // publishes to the image a
	earlier := build.Run{
		ID: id(
			1,
		),
		Object:      object,
		Description: d,
		Retained:    &build.Retained{Build: id(1), Claim: "pvc-1", Version: "4f1c2ab"},
		Status:      build.Status{Phase: build.Failed, Commit: "4f1c2abx", DescriptionHash: "h"},
	}
	republish, err := event.Republish(
		event.SourceAPI, build.Republish{ID: id(5), Object: object, Of: id(1), Requester: "alice", Time: now},
	)
	if err != nil {
		t.Fatal(err)
	}
	request, err := event.Requested(
		event.SourceAPI, build.Request{ID: id(5), Object: object, Cause: build.CauseAPI, Time: now},
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range []cloudevents.Event{request, changed("."), republish} {
		for policy, created := range map[build.Ownership]int{build.OwnNames: 0, build.AnyName: 1} {
			w := &world{section: foreign, options: builder.Options{Policy: build.Policy{Images: policy}}}
			if ev.Type() == event.TypeRepublish {
				w.runs = []build.Run{earlier}
			}
			if code := w.deliver(t, ev, nil); code != 202 || len(w.created) != created {
				t.Errorf("%s, %s: %d, created %v", ev.Type(), policy, code, w.created)
			}
			if created == 0 &&
				!strings.Contains(w.rejection(t).Message, `"a:1" belongs to somebody else: write greenhouse:TAG`) {
				t.Errorf("%s: %+v", ev.Type(), w.rejection(t))
			}
		}
	}
}

func TestOtherApplicationsAreNotBuiltWhenTheyChange(t *testing.T) {
	t.Parallel()
	good, _ := describe(t, "")
	for application, want := range map[string]int{"another": 0, "greenhouse": 1} {
		w := &world{section: good, options: builder.Options{Applications: []string{application}}}
		if w.deliver(t, changed("."), nil); len(w.created) != want {
			t.Errorf("%s: %v", application, w.created)
		}
	}
}

func TestOtherEventsAreAcknowledged(t *testing.T) {
	t.Parallel()
	ev := changed(".")
	ev.SetType("io.drogue.other")
	if code := (&world{}).deliver(t, ev, nil); code != 202 {
		t.Error(code)
	}
}

// TestOnlySignedEventsAreBelieved: each of our types, in each way in which it can be wrong.
func TestOnlySignedEventsAreBelieved(t *testing.T) {
	t.Parallel()
	good, _ := describe(t, "")
	eventtest.Forgeries(t, now, func(t *testing.T, o event.Options, ev cloudevents.Event) int {
		t.Helper()
		w := &world{
			section: good,
			runs:    []build.Run{{ID: eventtest.ID, Object: eventtest.Object, Status: build.Status{Phase: build.Running}}},
		}
		srv := httptest.NewServer(
			builder.New(builder.Deps{State: w, Runs: w, Canceller: w, Objects: w, List: w, Sender: w}, builder.Options{
				Log: o.Log, Clock: o.Clock, Events: o,
			}),
		)
		defer srv.Close()
		reply, err := event.Send(t.Context(), srv.Client(), srv.URL, ev)
		if err != nil || len(w.created)+len(w.sent)+len(w.done) > 0 {
			t.Errorf("%v: created %v, sent %v, %v", err, w.created, w.sent, w.done)
		}
		return reply.Status
	})
}

// TestAnObjectThatCannotBeReadIsCounted: our user may be no member of its application, which
// nothing else would tell.
func TestAnObjectThatCannotBeReadIsCounted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fail error
		ev   cloudevents.Event
		want []string
	}{
		"a request":                       {build.ErrForbidden, requested(t), []string{event.TypeRequested + " unreadable"}},
		"a request of a device":           {build.ErrNoObject, requested(t), []string{event.TypeRequested + " unreadable"}},
		"a change":                        {build.ErrForbidden, changed("."), []string{event.TypeApplicationChange + " unreadable"}},
		"a change of what is gone by now": {build.ErrNoObject, changed("."), nil},
	} {
		var counted []string
		o := eventtest.Options(now)
		o.Dropped = func(_ context.Context, kind, why string) { counted = append(counted, kind+" "+why) }
		w := &world{fail: map[string]error{"object": tt.fail}}
		srv := httptest.NewServer(builder.New(
			builder.Deps{State: w, Runs: w, Canceller: w, Objects: w, List: w, Sender: w},
			builder.Options{Log: o.Log, Clock: o.Clock, Events: o},
		))
		reply, err := event.Send(t.Context(), srv.Client(), srv.URL, eventtest.Sign(t, tt.ev))
		srv.Close()
		if diff := cmp.Diff(tt.want, counted); diff != "" || err != nil || reply.Status != http.StatusAccepted {
			t.Error(name, reply.Status, err, diff)
		}
	}
}

func requested(t *testing.T) cloudevents.Event {
	t.Helper()
	ev, err := event.Requested(event.SourceAPI, build.Request{ID: id(5), Object: object, Cause: build.CauseAPI, Time: now})
	if err != nil {
		t.Fatal(err)
	}
	return ev
}
