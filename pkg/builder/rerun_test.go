// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/builder"
)

// TestARerun of what it was made of, and not of what its object says now.
func TestARerun(t *testing.T) {
	t.Parallel()
	section, _ := describe(t, "")
	old := build.Run{
		ID: id(1), Object: object, Description: build.Description{Builder: "former"},
		Status: build.Status{Phase: build.Failed, Commit: commit, DescriptionHash: "former hash"},
	}
	change := func(f func(*build.Run)) []build.Run {
		r := old
		f(&r)
		return []build.Run{r}
	}
	running := build.Status{Phase: build.Running, Cause: build.CauseChange}
	for name, tt := range map[string]struct {
		runs    []build.Run
		options builder.Options
		refused string
	}{
		"as it was":                  {runs: []build.Run{old}},
		"not if it does not exist":   {refused: "does not exist"},
		"not for a different object": {runs: change(func(r *build.Run) { r.Object.Device = "d" }), refused: "does not exist"},
		"not in place of one of the description": {
			runs:    []build.Run{old, {ID: id(2), Object: object, Status: running}},
			refused: "is on its way",
		},
		"not while it runs":             {runs: change(func(r *build.Run) { r.Phase = build.Running }), refused: "has not ended"},
		"not without its commit":        {runs: change(func(r *build.Run) { r.Commit = "" }), refused: "commit was known"},
		"not one that has not compiled": {runs: change(func(r *build.Run) { r.Publishes = id(9) }), refused: "compiled nothing"},
		"not of an earlier object": {
			runs: change(func(r *build.Run) { r.UIDs.Application = "former" }), refused: "earlier object of that name",
		},
		"not by a builder that may not run any more": {
			runs: []build.Run{old}, options: builder.Options{Policy: build.Policy{Builders: []string{"trusted/"}}},
			refused: "no builder image of this installation",
		},
		"not for longer than it may run now": {
			runs:    change(func(r *build.Run) { r.Description.Timeout = build.Duration(2 * time.Hour) }),
			options: builder.Options{Policy: build.Policy{MaxTimeout: time.Hour}}, refused: "out of range",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{section: section, runs: tt.runs, options: tt.options}
			request := build.Request{
				ID: id(5), Object: object, Of: id(1), Requester: "alice", Cause: build.CauseRerun, Time: now,
			}
			if code := w.deliverRequest(t, request); code != 202 {
				t.Fatal(code)
			}
			if tt.refused != "" {
				if r := w.rejection(t); r.Reason != build.ReasonInternalError || !strings.Contains(r.Message, tt.refused) {
					t.Errorf("%+v", r)
				}
				return
			}
			want := []build.Spec{{
				ID: id(5), Object: object, UIDs: build.UIDs{Application: "uid-greenhouse"}, Description: old.Description,
				Hash: "former hash", Revision: commit, Requester: "alice", Cause: build.CauseRerun, Requested: now,
			}}
			if diff := cmp.Diff(want, w.created); diff != "" || len(w.sent) > 0 {
				t.Error(diff, w.sent)
			}
		})
	}
	w := &world{section: section, fail: map[string]error{"get": errors.New("away")}}
	if code := w.deliverRequest(
		t,
		build.Request{ID: id(5), Object: object, Of: id(1), Cause: build.CauseRerun, Time: now},
	); code != 503 {
		t.Error(code)
	}
}

// TestARevisionThatIsAskedForIsBuilt in place of that of the description.
func TestARevisionThatIsAskedForIsBuilt(t *testing.T) {
	t.Parallel()
	section, d := describe(t, "")
	w := &world{section: section}
	if code := w.deliverRequest(t, build.Request{
		ID: id(5), Object: object, Revision: "v1.2", Cause: build.CauseAPI, Time: now,
	}); code != 202 {
		t.Fatal(code)
	}
	if len(w.created) != 1 || w.created[0].Revision != "v1.2" || w.created[0].Hash != d.Hash() {
		t.Errorf("%+v", w.created)
	}
}

// TestARerunDoesNotCountForChanges: it says nothing of the description that the object has.
func TestARerunDoesNotCountForChanges(t *testing.T) {
	t.Parallel()
	section, d := describe(t, "")
	built := build.Run{ID: id(1), Object: object, Status: build.Status{
		Phase: build.Succeeded, Requested: now, DescriptionHash: d.Hash(), Cause: build.CauseAPI,
	}}
	repeated := built
	repeated.ID, repeated.Requested, repeated.DescriptionHash, repeated.Cause = id(
		2,
	), now.Add(
		time.Minute,
	), "former", build.CauseRerun
	w := &world{section: section, runs: []build.Run{built, repeated}}
	if code := w.deliver(t, changed(".spec.firmware"), nil); code != 202 || len(w.created) > 0 {
		t.Errorf("%d %+v", code, w.created)
	}
	w.runs = []build.Run{repeated}
	if code := w.deliver(t, changed(".spec.firmware"), nil); code != 202 || len(w.created) != 1 {
		t.Errorf("%d %+v", code, w.created)
	}
}
