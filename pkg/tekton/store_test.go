// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

func storedRun(n int, application, device string, phase build.Phase) build.Run {
	id := fmt.Sprintf("0190f2a4-6c3b-7a57-8f0e-%012d", n)
	return build.Run{
		ID:     id,
		Name:   build.RunName(id),
		UID:    fmt.Sprint("uid-", n),
		Object: build.ObjectRef{Application: application, Device: device},
		Status: build.Status{Phase: phase, Requested: now.Add(time.Duration(n) * time.Second)},
	}
}

func TestAStoreSelectsBuilds(t *testing.T) {
	t.Parallel()
	s := tekton.NewStore()
	if err := s.Ready(); !errors.Is(err, tekton.ErrNotSynced) {
		t.Error(err)
	}
	one, two := storedRun(1, "a", "", build.Running), storedRun(2, "a", "d", build.Failed)
	three := storedRun(3, "b", "", build.Queued)
	three.Description = build.Description{Image: "is not kept"}
	four := storedRun(4, "a", "", build.Succeeded)
	s.Replace([]build.Run{one, two, four, three})
	three.Description = build.Description{}
	if err := s.Ready(); err != nil {
		t.Error(err)
	}
	for name, tt := range map[string]struct {
		query build.Query
		want  []build.Run
	}{
		"all":                        {build.Query{}, []build.Run{one, two, three, four}},
		"of an object":               {build.Query{Object: one.Object}, []build.Run{one, four}},
		"of a device":                {build.Query{Object: two.Object}, []build.Run{two}},
		"of an application":          {build.Query{Application: "a"}, []build.Run{one, two, four}},
		"that have not ended":        {build.Query{Active: true}, []build.Run{one, three}},
		"of one, that has not ended": {build.Query{Object: two.Object, Active: true}, []build.Run{}},
		"the newest of each object":  {build.Query{Newest: true}, []build.Run{two, three, four}},
		"the newest of one":          {build.Query{Object: one.Object, Newest: true}, []build.Run{four}},
		"of nobody":                  {build.Query{Application: "c"}, []build.Run{}},
	} {
		got := s.List(tt.query)
		slices.SortFunc(got, build.Run.Compare)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if got, err := s.Find(one.Name); err != nil || !cmp.Equal(got, one) {
		t.Error(got, err)
	}
	one.Phase = build.Succeeded
	s.Set(one)
	s.Remove(three.Name)
	if got := s.List(build.Query{Active: true}); len(got) != 0 {
		t.Error(got)
	}
	if _, err := s.Find(three.Name); !errors.Is(err, build.ErrNotFound) {
		t.Error(err)
	}
}

func TestWatchersSeeEachChangeOnce(t *testing.T) {
	t.Parallel()
	s := tekton.NewStore()
	var seen []string
	stop := s.Watch(func(r build.Run, deleted bool) {
		seen = append(seen, fmt.Sprint(r.ID[len(r.ID)-1:], " ", r.Phase, " ", deleted))
	})
	one, two := storedRun(1, "a", "", build.Running), storedRun(2, "b", "", build.Running)
	s.Replace([]build.Run{one})
	s.Set(one)
	s.Set(two)
	one.Phase = build.Failed
	s.Replace([]build.Run{one, two})
	s.Replace([]build.Run{one})
	s.Remove(one.Name)
	s.Remove(one.Name)
	stop()
	s.Set(two)
	want := []string{"1 Running false", "2 Running false", "1 Failed false", "2 Running true", "1 Failed true"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}
