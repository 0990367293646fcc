// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/builder"
	"github.com/drogue-iot/ajour/pkg/event"
)

var (
	now    = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	target = build.Target{Application: "greenhouse"}
)

func id(n int) string { return fmt.Sprintf("0190f2a4-6c3b-7a57-8f0e-%012d", n) }

// cluster is a double of everything that the builder talks to. It records what
// is done, and fails where it is told to.
type cluster struct {
	runs    []build.Run
	section string
	record  string
	done    []string
	created build.Request // the last one
	sent    []cloudevents.Event
	fail    map[string]error

	beforeCreate func()
}

func (c *cluster) Create(_ context.Context, r build.Request) error {
	if err := c.fail["create"]; err != nil {
		return err
	}
	if c.beforeCreate != nil {
		c.beforeCreate()
	}
	c.created = r
	c.done = append(c.done, "create "+r.ID)
	if !slices.ContainsFunc(c.runs, func(run build.Run) bool { return run.ID == r.ID }) {
		c.runs = append(c.runs, build.Run{ID: r.ID, Target: r.Target, Requested: r.Time, Phase: build.Queued, DescriptionHash: r.DescriptionHash, Trigger: r.Trigger})
	}
	return nil
}

func (c *cluster) List(context.Context, build.Target) ([]build.Run, error) {
	return c.runs, c.fail["list"]
}

func (c *cluster) Cancel(_ context.Context, id string, reason build.Reason, by string) error {
	if err := c.fail["cancel"]; err != nil {
		return err
	}
	c.done = append(c.done, strings.TrimSpace(fmt.Sprintf("cancel %s %s %s", id, reason, by)))
	for i := range c.runs {
		if c.runs[i].ID == id {
			c.runs[i].Phase = build.Cancelled
		}
	}
	return nil
}

func (c *cluster) Delete(_ context.Context, id string) error {
	c.done = append(c.done, "delete "+id)
	return c.fail["delete"]
}

func (c *cluster) Object(context.Context, build.Target) (build.Object, error) {
	return object{c.section, c.record}, c.fail["object"]
}

// object is a Drogue object with a section spec.firmware and a record.
type object struct{ section, record string }

func (o object) Firmware() json.RawMessage         { return json.RawMessage(o.section) }
func (o object) SetStatus(string, json.RawMessage) {}
func (o object) Status(section string) json.RawMessage {
	if section != build.SectionRecord || o.record == "" {
		return nil
	}
	return json.RawMessage(o.record)
}

func (c *cluster) Send(_ context.Context, ev cloudevents.Event) error {
	c.sent = append(c.sent, ev)
	return c.fail["send"]
}

// deliver posts an event and returns the status.
func (c *cluster) deliver(t *testing.T, ev cloudevents.Event) int {
	t.Helper()
	srv := httptest.NewServer(builder.New(c, c, c, builder.Options{Log: slog.New(slog.DiscardHandler), Clock: func() time.Time { return now }, Keep: 2}))
	defer srv.Close()
	reply, err := event.Send(t.Context(), srv.Client(), srv.URL, ev)
	if err != nil || len(reply.Body) > 0 {
		t.Fatal(reply, err)
	}
	return reply.Status
}

func requested(t *testing.T, n int, at time.Time) cloudevents.Event {
	t.Helper()
	ev, err := event.Requested(event.SourceAPI, build.Request{ID: id(n), Target: target, Time: at, DescriptionHash: "h"})
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// TestWhatToPublishAgainIsLookedUp: an event says which build, and no more.
func TestWhatToPublishAgainIsLookedUp(t *testing.T) {
	t.Parallel()
	failed := build.Run{ID: id(1), Target: target, Phase: build.Failed, Commit: "4f1c2abx", Kept: &build.Kept{Build: id(1), Claim: "pvc-1", Version: "4f1c2ab"}}
	again := failed
	again.ID = id(2)
	running := failed
	running.Phase, running.Kept = build.Running, nil
	want := &build.Publication{Build: id(1), Commit: "4f1c2abx", Claim: "pvc-1", Artifact: build.Artifact{Version: "4f1c2ab"}}
	for name, tt := range map[string]struct {
		runs      []build.Run
		publishes string
		want      *build.Publication
		refused   string
	}{
		"a build whose workspace is kept":         {[]build.Run{failed}, id(1), want, ""},
		"a publish of that which failed":          {[]build.Run{failed, again}, id(2), want, ""},
		"one whose workspace went with its build": {[]build.Run{again}, id(2), nil, "is gone"},
		"a build of another object, or of nobody": {nil, id(1), nil, "not there any more"},
		"a build that runs":                       {[]build.Run{running}, id(1), nil, "not ended"},
		"a request that was carried out long ago": {[]build.Run{{ID: id(5), Target: target, Phase: build.Failed}}, id(1), nil, ""},
	} {
		c := &cluster{runs: tt.runs}
		ev, err := event.Requested(event.SourceAPI, build.Request{
			ID: id(5), Target: target, Time: now, DescriptionHash: "h", Publishes: tt.publishes,
			Publication: &build.Publication{Claim: "pvc-of-somebody-else"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if code := c.deliver(t, ev); code != 202 {
			t.Errorf("%s: %d", name, code)
		}
		if tt.refused != "" {
			if len(c.sent) != 1 || len(c.done) != 0 {
				t.Errorf("%s: %v %v", name, c.sent, c.done)
				continue
			}
			r, err := event.DecodeRejected(c.sent[0])
			if err != nil || r.Reason != build.ReasonArtifactNotFound || !strings.Contains(r.Message, tt.refused) {
				t.Errorf("%s: %+v %v", name, r, err)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, c.created.Publication); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestRequested(t *testing.T) {
	t.Parallel()
	run := func(n int, at time.Time, phase build.Phase) build.Run {
		return build.Run{ID: id(n), Target: target, Requested: at, Phase: phase}
	}
	earlier, later := now.Add(-time.Minute), now.Add(time.Minute)
	for _, tt := range []struct {
		name string
		runs []build.Run
		fail map[string]error
		want []string
		code int
	}{
		{"the first build is created", nil, nil, []string{"create " + id(5)}, 202},
		{
			"older active builds are cancelled first",
			[]build.Run{run(1, earlier, build.Running), run(2, earlier, build.Queued)},
			nil,
			[]string{"cancel " + id(1) + " Superseded", "cancel " + id(2) + " Superseded", "create " + id(5)},
			202,
		},
		{"ended builds are left alone", []build.Run{run(1, earlier, build.Failed)}, nil, []string{"create " + id(5)}, 202},
		{
			"a late request is created and superseded",
			[]build.Run{run(1, later, build.Running)},
			nil,
			[]string{"create " + id(5), "cancel " + id(5) + " Superseded"},
			202,
		},
		{"an unreachable cluster is tried again", nil, map[string]error{"list": errors.New("away")}, nil, 503},
		{"a failing cancellation is tried again", []build.Run{run(1, earlier, build.Running)}, map[string]error{"cancel": errors.New("away")}, nil, 503},
		{"a failing creation is tried again", nil, map[string]error{"create": errors.New("away")}, nil, 503},
		{"a refused creation is rejected", nil, map[string]error{"create": fmt.Errorf("%w: forbidden", build.ErrRefused)}, nil, 202},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &cluster{runs: tt.runs, fail: tt.fail}
			if code := c.deliver(t, requested(t, 5, now)); code != tt.code {
				t.Errorf("status %d, want %d", code, tt.code)
			}
			if diff := cmp.Diff(tt.want, c.done); diff != "" {
				t.Error(diff)
			}
			rejected := len(c.sent) == 1 && c.sent[0].Type() == event.TypeRejected
			if wanted := errors.Is(tt.fail["create"], build.ErrRefused); rejected != wanted {
				t.Errorf("rejected: %v", rejected)
			}
		})
	}
}

func TestARequestThatComesAgainChangesNothing(t *testing.T) {
	t.Parallel()
	c := &cluster{runs: []build.Run{{ID: id(1), Target: target, Requested: now.Add(-1), Phase: build.Running}}}
	for range 3 {
		if code := c.deliver(t, requested(t, 5, now)); code != 202 {
			t.Fatal(code)
		}
	}
	want := []string{"cancel " + id(1) + " Superseded", "create " + id(5), "create " + id(5), "create " + id(5)}
	if diff := cmp.Diff(want, c.done); diff != "" || len(c.runs) != 2 {
		t.Error(diff, c.runs)
	}
}

// TestARepeatedKeyDoesNotComeBackAsTheNewest: a request of a build that was
// superseded comes again with a later time, as with an Idempotency-Key.
func TestARepeatedKeyDoesNotComeBackAsTheNewest(t *testing.T) {
	t.Parallel()
	c := &cluster{}
	for _, r := range []struct {
		n  int
		at time.Time
	}{{1, now}, {2, now.Add(time.Minute)}, {1, now.Add(time.Hour)}} {
		c.deliver(t, requested(t, r.n, r.at))
	}
	got := map[string]build.Phase{}
	for _, run := range c.runs {
		got[run.ID] = run.Phase
	}
	if diff := cmp.Diff(map[string]build.Phase{id(1): build.Cancelled, id(2): build.Queued}, got); diff != "" {
		t.Error(diff)
	}
}

// TestRequestsAtTheSameTimeLeaveOneBuild: neither sees the other before it
// creates its run.
func TestRequestsAtTheSameTimeLeaveOneBuild(t *testing.T) {
	t.Parallel()
	c := &cluster{}
	c.beforeCreate = func() {
		c.beforeCreate = nil // the other handler runs as a whole right here
		c.deliver(t, requested(t, 6, now.Add(time.Second)))
	}
	c.deliver(t, requested(t, 5, now))
	got := map[string]build.Phase{}
	for _, run := range c.runs {
		got[run.ID] = run.Phase
	}
	if diff := cmp.Diff(map[string]build.Phase{id(5): build.Cancelled, id(6): build.Queued}, got); diff != "" {
		t.Error(diff)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		code int
	}{
		{"a build is cancelled", nil, 202},
		{"a build that is not there yet is tried again", build.ErrNotFound, 503},
		{"an unreachable cluster is tried again", errors.New("away"), 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ev, err := event.Cancelled(event.SourceAPI, target, now, build.Cancellation{ID: id(5), Requester: "alice"})
			if err != nil {
				t.Fatal(err)
			}
			c := &cluster{fail: map[string]error{"cancel": tt.err}}
			if code := c.deliver(t, ev); code != tt.code {
				t.Errorf("status %d", code)
			}
			if tt.err == nil {
				if diff := cmp.Diff([]string{"cancel " + id(5) + " Cancelled alice"}, c.done); diff != "" {
					t.Error(diff)
				}
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

const section = `{"container":{"image":"a:1","build":{"image":"b","source":{"git":{"uri":"https://h/r"}},"artifact":{"path":"f"}%s}}}`

func TestChanged(t *testing.T) {
	t.Parallel()
	good := fmt.Sprintf(section, "")
	d, err := build.Parse(json.RawMessage(good))
	if err != nil {
		t.Fatal(err)
	}
	built := build.Run{ID: id(1), Target: target, Requested: now, Phase: build.Succeeded, DescriptionHash: d.Hash()}
	other := built
	other.DescriptionHash = "other"
	again := other
	again.ID, again.Trigger, again.Requested = id(2), build.TriggerPublish, now.Add(time.Minute)
	for _, tt := range []struct {
		name, subject, section string
		runs                   []build.Run
		fail                   map[string]error
		want                   string // the type of the event that is sent
		code                   int
	}{
		{"a description without a build is built", ".spec.firmware", good, nil, nil, event.TypeRequested, 202},
		{"a new object with a description is built", ".", good, nil, nil, event.TypeRequested, 202},
		{"another description than that of the newest build is built", ".spec.firmware", good, []build.Run{other}, nil, event.TypeRequested, 202},
		{"the description of the newest build is not built again", ".spec.firmware", good, []build.Run{built}, nil, "", 202},
		{"a manual description is not built", ".spec.firmware", fmt.Sprintf(section, `,"triggers":["manual"]`), nil, nil, "", 202},
		{"a wrong description is rejected", ".spec.firmware", fmt.Sprintf(section, `,"timeout":"x"`), nil, nil, event.TypeRejected, 202},
		{"a description that is gone is nothing to build", ".spec.firmware", "", nil, nil, "", 202},
		{"our own status write is passed over", ".status.firmware", good, nil, map[string]error{"object": errors.New("must not be asked")}, "", 202},
		{"an object that is gone is passed over", ".", "", nil, map[string]error{"object": build.ErrNoObject}, "", 202},
		{"an object that we may not read is passed over", ".", "", nil, map[string]error{"object": build.ErrForbidden}, "", 202},
		{"credentials that are no good any more lose nothing", ".", "", nil, map[string]error{"object": build.ErrUnauthenticated}, "", 503},
		{"what was published again says nothing of the description", ".spec.firmware", good, []build.Run{built, again}, nil, "", 202},
		{"a registry that is away is tried again", ".", "", nil, map[string]error{"object": errors.New("away")}, "", 503},
		{"a broker that is away is tried again", ".", good, nil, map[string]error{"send": errors.New("away")}, event.TypeRequested, 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &cluster{runs: tt.runs, section: tt.section, fail: tt.fail}
			if code := c.deliver(t, changed(tt.subject)); code != tt.code {
				t.Errorf("status %d, want %d", code, tt.code)
			}
			got := ""
			for _, ev := range c.sent {
				got = ev.Type()
			}
			if got != tt.want {
				t.Errorf("sent %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAChangeThatIsSeenTwiceAsksForOneBuild(t *testing.T) {
	t.Parallel()
	c := &cluster{section: fmt.Sprintf(section, "")}
	for range 2 {
		c.deliver(t, changed(".spec.firmware"))
	}
	if len(c.sent) != 2 || c.sent[0].ID() != c.sent[1].ID() || !build.ValidID(c.sent[0].ID()) {
		t.Errorf("%v", c.sent)
	}
	// Back to a former description after another one: a build of its own.
	c.runs = []build.Run{{ID: id(7), Target: target, Requested: now, DescriptionHash: "other"}}
	c.deliver(t, changed(".spec.firmware"))
	if c.sent[2].ID() == c.sent[0].ID() {
		t.Error("going back has the id of the first build")
	}
}

// TestADescriptionThatIsRightAgainIsBuilt though it is that of the newest build: the
// object says that it is wrong.
func TestADescriptionThatIsRightAgainIsBuilt(t *testing.T) {
	t.Parallel()
	good := fmt.Sprintf(section, "")
	d, err := build.Parse(json.RawMessage(good))
	if err != nil {
		t.Fatal(err)
	}
	record, err := json.Marshal(build.Record{Build: id(9), Phase: build.Failed, Reason: build.ReasonInvalidBuildSpec, Requested: now})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{section: good, record: string(record), runs: []build.Run{{ID: id(1), Target: target, Requested: now.Add(-time.Hour), Phase: build.Succeeded, DescriptionHash: d.Hash()}}}
	c.deliver(t, changed(".spec.firmware"))
	if len(c.sent) != 1 || c.sent[0].Type() != event.TypeRequested {
		t.Fatalf("sent %v", c.sent)
	}
	c.deliver(t, c.sent[0])
	c.deliver(t, changed(".spec.firmware")) // before the object says what became of it
	if len(c.sent) != 2 || c.sent[1].ID() != c.sent[0].ID() {
		t.Errorf("sent %v", c.sent)
	}
}

// TestARequestOfAnOlderDescriptionIsDropped: it may have waited while that went on.
func TestARequestOfAnOlderDescriptionIsDropped(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		section string
		fail    map[string]error
		code    int
		done    int
	}{
		"as it was":               {fmt.Sprintf(section, ""), nil, 202, 1},
		"another one":             {fmt.Sprintf(section, `,"timeout":"2m"`), nil, 202, 0},
		"none":                    {"", nil, 202, 0},
		"an object that is gone":  {"", map[string]error{"object": build.ErrNoObject}, 202, 0},
		"a registry that is away": {"", map[string]error{"object": errors.New("away")}, 503, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asking := &cluster{section: fmt.Sprintf(section, "")}
			asking.deliver(t, changed(".spec.firmware"))
			c := &cluster{section: tt.section, fail: tt.fail}
			if code := c.deliver(t, asking.sent[0]); code != tt.code || len(c.done) != tt.done {
				t.Errorf("%d %v", code, c.done)
			}
		})
	}
}

// TestBuildsThatEndedLongAgoAreDeleted when another one begins, but for those that somebody
// still needs.
func TestBuildsThatEndedLongAgoAreDeleted(t *testing.T) {
	t.Parallel()
	ended := func(n int, ago time.Duration, change func(*build.Run)) build.Run {
		r := build.Run{ID: id(n), Target: target, Requested: now.Add(-ago), Completed: now.Add(-ago), Phase: build.Failed, Trigger: build.TriggerAPI}
		if change != nil {
			change(&r)
		}
		return r
	}
	published := func(r *build.Run) { r.Trigger = build.TriggerPublish }
	day := 24 * time.Hour
	for name, tt := range map[string]struct {
		runs      []build.Run
		publishes string
		want      []string
	}{
		"as many as are kept":     {[]build.Run{ended(1, 2*day, nil), ended(2, day, nil)}, "", nil},
		"one more":                {[]build.Run{ended(2, day, nil), ended(1, 3*day, nil), ended(3, 2*day, nil)}, "", []string{"delete " + id(1)}},
		"one that ended just now": {[]build.Run{ended(2, time.Minute, nil), ended(1, 3*time.Minute, nil), ended(3, 2*time.Minute, nil)}, "", nil},
		"one that is to be published": {
			[]build.Run{ended(1, 3*day, func(r *build.Run) { r.Kept = &build.Kept{Build: id(1), Claim: "pvc", Version: "1"} }), ended(2, day, nil), ended(3, 2*day, nil)},
			id(1), nil,
		},
		"one whose workspace was published in vain": {
			[]build.Run{ended(1, 3*day, nil), ended(2, day, func(r *build.Run) { r.Kept = &build.Kept{Build: id(1), Claim: "pvc", Version: "1"} }), ended(3, 2*day, nil)},
			"", nil,
		},
		"one that runs": {[]build.Run{{ID: id(1), Target: target, Requested: now.Add(-3 * day), Phase: build.Running}, ended(2, day, nil), ended(3, 2*day, nil)}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &cluster{runs: tt.runs}
			ev, err := event.Requested(event.SourceAPI, build.Request{ID: id(9), Target: target, Time: now, DescriptionHash: "h", Publishes: tt.publishes})
			if err != nil {
				t.Fatal(err)
			}
			if code := c.deliver(t, ev); code != 202 {
				t.Error(code)
			}
			got := slices.DeleteFunc(c.done, func(s string) bool { return !strings.HasPrefix(s, "delete") })
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("the newest of a description", func(t *testing.T) {
		t.Parallel()
		good := fmt.Sprintf(section, "")
		d, err := build.Parse(json.RawMessage(good))
		if err != nil {
			t.Fatal(err)
		}
		c := &cluster{section: good, runs: []build.Run{
			ended(1, 4*day, func(r *build.Run) { r.DescriptionHash = d.Hash() }), ended(2, 3*day, published), ended(3, 2*day, published), ended(4, day, published),
		}}
		ev, err := event.Requested(event.SourceAPI, build.Request{ID: id(9), Target: target, Time: now, Trigger: build.TriggerPublish, Publishes: id(4), DescriptionHash: "h"})
		if err != nil {
			t.Fatal(err)
		}
		c.fail = map[string]error{"delete": errors.New("away")} // which is left to the next
		c.runs[3].Kept = &build.Kept{Build: id(4), Claim: "pvc", Version: "1"}
		if code := c.deliver(t, ev); code != 202 || !slices.Equal(c.done[1:], []string{"delete " + id(2)}) {
			t.Error(code, c.done)
		}
	})
}

// TestADescriptionWhoseRunIsGoneIsNotBuiltAgain: somebody else may delete runs, too.
func TestADescriptionWhoseRunIsGoneIsNotBuiltAgain(t *testing.T) {
	t.Parallel()
	good := fmt.Sprintf(section, "")
	d, err := build.Parse(json.RawMessage(good))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		record build.Record
		sent   int
	}{
		"built before":          {build.Record{Build: id(1), Phase: build.Succeeded, Started: now, Requested: now, DescriptionHash: d.Hash()}, 0},
		"another one was built": {build.Record{Build: id(1), Phase: build.Succeeded, Started: now, DescriptionHash: "other"}, 1},
		"it never began":        {build.Record{Build: id(1), Phase: build.Failed, Reason: build.ReasonInternalError, DescriptionHash: d.Hash()}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			record, err := json.Marshal(tt.record)
			if err != nil {
				t.Fatal(err)
			}
			older := build.Run{ID: id(0), Target: target, Requested: now.Add(-time.Hour), Phase: build.Succeeded, DescriptionHash: "older"}
			for _, runs := range [][]build.Run{nil, {older}} {
				c := &cluster{section: good, record: string(record), runs: runs}
				if c.deliver(t, changed(".")); len(c.sent) != tt.sent {
					t.Error(runs, c.sent)
				}
			}
		})
	}
}

// TestARequestThatComesAgainMakesWayThoughItIsOutOfDate: its handler may have died between
// making the run and looking for newer ones.
func TestARequestThatComesAgainMakesWayThoughItIsOutOfDate(t *testing.T) {
	t.Parallel()
	asking := &cluster{section: fmt.Sprintf(section, "")}
	asking.deliver(t, changed(".spec.firmware"))
	older := build.Run{ID: asking.sent[0].ID(), Target: target, Requested: now, Phase: build.Running}
	newer := build.Run{ID: id(7), Target: target, Requested: now.Add(time.Second), Phase: build.Running}
	for _, fail := range []map[string]error{nil, {"object": build.ErrNoObject}} {
		c := &cluster{section: fmt.Sprintf(section, `,"timeout":"2m"`), fail: fail, runs: []build.Run{older, newer}}
		if code := c.deliver(t, asking.sent[0]); code != 202 || !slices.Contains(c.done, "cancel "+older.ID+" Superseded") || c.runs[1].Phase != build.Running {
			t.Error(code, c.done)
		}
	}
}

func TestOtherApplicationsAreNotBuiltWhenTheyChange(t *testing.T) {
	t.Parallel()
	c := &cluster{section: fmt.Sprintf(section, "")}
	for application, want := range map[string]int{"another": 0, "greenhouse": 1} {
		c.sent = nil
		h := builder.New(c, c, c, builder.Options{Log: slog.New(slog.DiscardHandler), Clock: func() time.Time { return now }, Applications: []string{application}})
		srv := httptest.NewServer(h)
		if _, err := event.Send(t.Context(), srv.Client(), srv.URL, changed(".")); err != nil || len(c.sent) != want {
			t.Errorf("%s: %v %v", application, c.sent, err)
		}
		srv.Close()
	}
}

func TestOtherEventsAreAcknowledged(t *testing.T) {
	t.Parallel()
	ev := changed(".")
	ev.SetType("io.drogue.other")
	if code := (&cluster{}).deliver(t, ev); code != 202 {
		t.Error(code)
	}
}
