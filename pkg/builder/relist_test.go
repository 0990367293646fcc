// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/builder"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/event/eventtest"
)

// listing is a registry that lists objects, which all have the section of the world, and its record.
type listing struct {
	*world
	objects []build.ObjectRef
}

func (l *listing) List(q build.Query) []build.Run {
	return slices.DeleteFunc(slices.Clone(l.runs), func(r build.Run) bool { return r.Object != q.Object })
}

func (l *listing) Watch(func(build.Run, bool)) func() { return func() {} }

// ListObject lists those of one object alone.
func (l *listing) ListObject(_ context.Context, o build.ObjectRef) ([]build.Run, error) {
	return l.List(build.Query{Object: o}), nil
}

func (l *listing) each(application string, f func(build.ObjectRef, build.Object) error) error {
	for _, o := range l.objects {
		if (o.Device == "") == (application == "") && (application == "" || o.Application == application) {
			if err := f(o, document{l.section, l.record, l.uidOf(o)}); err != nil {
				return err
			}
		}
	}
	return l.fail["list "+application]
}

func (l *listing) EachApplication(_ context.Context, f func(build.ObjectRef, build.Object) error) error {
	return l.each("", f)
}

func (l *listing) EachDevice(_ context.Context, application string, f func(build.ObjectRef, build.Object) error) error {
	return l.each(application, f)
}

func (l *listing) relister(every time.Duration) *builder.Relister {
	o := l.options
	o.Log, o.Clock, o.Events = slog.New(slog.DiscardHandler), func() time.Time { return now }, eventtest.Options(now)
	return builder.NewRelister(builder.Deps{State: l, Runs: l, Canceller: l, Objects: l, List: l, Sender: l}, o, l, every)
}

// built says what was built, with the uids.
func (l *listing) built() (all []string) {
	for _, s := range l.created {
		all = append(all, fmt.Sprintf("%s %s %s %s", s.Object, s.UIDs.Application, s.UIDs.Device, s.Cause))
	}
	return all
}

// says gives all objects a record of the application a.
func (l *listing) says(t *testing.T, s build.Status) {
	t.Helper()
	s.Requested = now
	record, err := json.Marshal(build.Record{Build: "earlier", Object: "uid-a", Status: s})
	if err != nil {
		t.Fatal(err)
	}
	l.record = string(record)
}

// TestABuildWhoseRunIsGoneIsNotRepeated: it was cancelled before it started, or published what an
// earlier one left.
func TestABuildWhoseRunIsGoneIsNotRepeated(t *testing.T) {
	t.Parallel()
	_, d := describe(t, "")
	for _, s := range []build.Status{
		{Phase: build.Cancelled, Reason: build.ReasonCancelled, DescriptionHash: d.Hash()},
		{
			Phase: build.Succeeded, Reason: build.ReasonSucceeded, DescriptionHash: d.Hash(), Cause: build.CausePublish,
			Started: now,
		},
	} {
		l := newListing(t, "", "a")
		l.says(t, s)
		if err := l.relister(time.Second).Pass(t.Context()); err != nil || len(l.created) > 0 {
			t.Errorf("%s: %v %v", s.Reason, err, l.built())
		}
	}
	l := newListing(t, "", "a")
	l.says(t, build.Status{Phase: build.Cancelled, Reason: build.ReasonCancelled, DescriptionHash: "different"})
	if err := l.relister(time.Second).Pass(t.Context()); err != nil || len(l.created) != 1 {
		t.Errorf("a description that has changed since: %v %v", err, l.built())
	}
}

func newListing(t *testing.T, more string, objects ...string) *listing {
	t.Helper()
	text, _ := describe(t, more)
	l := &listing{world: &world{section: text, fail: map[string]error{}}}
	for _, o := range objects {
		app, device, _ := strings.Cut(o, "/")
		l.objects = append(l.objects, build.ObjectRef{Application: app, Device: device})
	}
	return l
}

// TestDescriptionsWithoutAnEventAreBuilt, once: of applications and devices, those that are new and
// those that have changed.
func TestDescriptionsWithoutAnEventAreBuilt(t *testing.T) {
	t.Parallel()
	l := newListing(t, "", "a", "a/x", "b", "b/y", "c")
	_, d := describe(t, "")
	l.runs = []build.Run{
		{
			ID:     id(1),
			Object: l.objects[2],
			UIDs:   build.UIDs{Application: "uid-b"},
			Status: build.Status{DescriptionHash: d.Hash()},
		},
		{ID: id(2), Object: l.objects[4], UIDs: build.UIDs{Application: "uid-c"}, Status: build.Status{DescriptionHash: "x"}},
	}
	want := []string{
		"a uid-a  change", "c uid-c  change", "a/x uid-a uid-a/x change", "b/y uid-b uid-b/y change",
	}
	for range 2 {
		if err := l.relister(time.Second).Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, l.built()); diff != "" {
			t.Error(diff)
		}
	}
}

// TestAWrongDescriptionIsRejectedUntilTheObjectSaysSo, and not every ten minutes.
func TestAWrongDescriptionIsRejectedUntilTheObjectSaysSo(t *testing.T) {
	t.Parallel()
	l := newListing(t, "", "a")
	l.section = strings.Replace(l.section, `"a:1"`, `"A:1"`, 1)
	pass := func(want int) {
		t.Helper()
		if err := l.relister(time.Second).Pass(t.Context()); err != nil || len(l.sent) != want {
			t.Errorf("%v, %d rejections", err, len(l.sent))
		}
	}
	pass(1)
	pass(2)
	r, err := event.DecodeRejected(l.sent[0])
	if err != nil {
		t.Fatal(err)
	}
	l.says(t, build.Status{Phase: build.Failed, Reason: r.Reason, Message: r.Message}) // of a call, perhaps
	pass(2)
}

// TestWhatIsNotBuiltOnChangesIsNotBuiltByAList: manual descriptions, applications that are not
// allowed, objects without a description, and nothing at all where changes are ignored.
func TestWhatIsNotBuiltOnChangesIsNotBuiltByAList(t *testing.T) {
	t.Parallel()
	manual, foreign, plain := newListing(
		t,
		`,"triggers":["manual"]`,
		"a",
	), newListing(
		t,
		"",
		"a",
		"a/x",
	), newListing(
		t,
		"",
		"a",
	)
	foreign.options.Applications = []string{"b"}
	plain.section = `{"container":{"image":"a:1"}}`
	for name, l := range map[string]*listing{"manual": manual, "foreign": foreign, "plain": plain} {
		if err := l.relister(time.Second).Pass(t.Context()); err != nil || len(l.created) > 0 || len(l.sent) > 0 {
			t.Errorf("%s: %v %v", name, err, l.built())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ignored, never := newListing(t, "", "a"), newListing(t, "", "a")
	ignored.options.IgnoreChanges = true
	if err := errors.Join(ignored.relister(time.Second).Run(ctx), never.relister(0).Run(ctx)); err != nil {
		t.Error(err)
	}
	if len(ignored.created)+len(never.created) > 0 {
		t.Error("built all the same")
	}
}

// TestAListThatFailsIsNoReasonToLeaveOutTheRest.
func TestAListThatFailsIsNoReasonToLeaveOutTheRest(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	l := newListing(t, "", "a", "b", "b/y", "gone")
	l.fail["list a"], l.fail["list gone"], l.fail["list "] = away, build.ErrNoObject, away
	if err := l.relister(time.Second).Pass(t.Context()); !errors.Is(err, away) {
		t.Error(err)
	}
	if diff := cmp.Diff(
		[]string{"a uid-a  change", "b uid-b  change", "gone uid-gone  change", "b/y uid-b uid-b/y change"}, l.built(),
	); diff != "" {
		t.Error(diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.relister(time.Hour).Pass(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a pass whose context has ended: %v", err)
	}
}
