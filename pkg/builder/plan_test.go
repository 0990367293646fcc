// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/drogue-iot/ajour/pkg/build"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func id(n int) string { return fmt.Sprintf("0190f2a4-6c3b-7a57-8f0e-%012d", n) }

// run is a build that was requested n minutes after now.
func run(n int, phase build.Phase, change ...func(*build.Run)) build.Run {
	r := build.Run{
		ID: id(n), Name: build.RunName(id(n)), UID: fmt.Sprint("uid-", n), Object: build.ObjectRef{Application: "greenhouse"},
		Status: build.Status{Phase: phase, Requested: now.Add(time.Duration(n) * time.Minute), Cause: build.CauseAPI},
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

func pending(r *build.Run)    { r.Pending = true }
func lingering(r *build.Run)  { r.Lingering = true }
func cancelling(r *build.Run) { r.Cancelling = true }
func device(name string) func(*build.Run) {
	return func(r *build.Run) { r.Object.Device = name }
}

// ended is how long ago a build ended; it was requested then, too.
func ended(ago time.Duration) func(*build.Run) {
	return func(r *build.Run) { r.Requested, r.Completed = now.Add(-ago), now.Add(-ago) }
}

// summary describes a plan.
func summary(actions []action) []string {
	list := []string{}
	for _, a := range actions {
		list = append(list, fmt.Sprintf("%s %d", a.verb, int(a.run.ID[len(a.run.ID)-1]-'0')))
	}
	return list
}

func TestPlan(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	retains := func(r *build.Run) { r.Retained = &build.Retained{Build: id(1), Claim: "pvc-1"} }
	publishes := func(r *build.Run) { r.Cause, r.Publishes = build.CausePublish, id(1) }
	for name, tt := range map[string]struct {
		runs []build.Run
		want []string
	}{
		"nothing is planned for no builds":         {nil, []string{}},
		"a pending build starts":                   {[]build.Run{run(1, build.Queued, pending)}, []string{"start 1"}},
		"a build that starts is not started again": {[]build.Run{run(1, build.Queued)}, []string{}},
		"a running build is left alone":            {[]build.Run{run(1, build.Running)}, []string{}},
		"a newer build supersedes one that runs": {
			[]build.Run{run(1, build.Running), run(2, build.Queued, pending)},
			[]string{"supersede 1"},
		},
		"and starts when that has ended": {
			[]build.Run{run(1, build.Cancelled), run(2, build.Queued, pending)},
			[]string{"start 2"},
		},
		"it waits while the older one is cancelled": {
			[]build.Run{run(1, build.Running, cancelling), run(2, build.Queued, pending)},
			[]string{},
		},
		"a newer build supersedes one that is pending": {
			[]build.Run{run(1, build.Queued, pending), run(2, build.Queued, pending)},
			[]string{"supersede 1"},
		},
		"all older ones are superseded": {
			[]build.Run{
				run(1, build.Queued, pending),
				run(2, build.Running),
				run(3, build.Queued, pending),
			}, []string{"supersede 2", "supersede 1"},
		},
		"a late request is superseded by a newer build that runs": {
			[]build.Run{run(1, build.Queued, pending), run(2, build.Running)},
			[]string{"supersede 1"},
		},
		"a late request is superseded by a newer build that has ended": {
			[]build.Run{run(1, build.Queued, pending), run(2, build.Succeeded)},
			[]string{"supersede 1"},
		},
		"a build that was un-paused by somebody else makes way": {
			[]build.Run{run(1, build.Running), run(2, build.Running)},
			[]string{"supersede 1"},
		},
		"a build that was cancelled before it started does not start": {
			[]build.Run{run(1, build.Queued, pending, cancelling)},
			[]string{},
		},
		"what lingers of an ended build is stopped": {
			[]build.Run{run(1, build.Cancelled, ended(time.Minute), lingering)}, []string{"stop 1"},
		},
		"but not in the moment in which it ended": {
			[]build.Run{run(1, build.Succeeded, ended(time.Second), lingering)}, []string{},
		},
		"and the next build waits for that": {
			[]build.Run{run(1, build.Cancelled, ended(time.Second), lingering), run(2, build.Queued, pending)}, []string{},
		},
		"builds of several objects do not meet": {
			[]build.Run{
				run(1, build.Running, device("a")),
				run(3, build.Queued, pending, device("b")),
				run(2, build.Queued, pending),
			}, []string{"start 2", "start 3"},
		},
		"as many ended builds as are kept stay": {
			[]build.Run{run(1, build.Failed, ended(2*day)), run(2, build.Failed, ended(day))}, []string{},
		},
		"one more is deleted": {
			[]build.Run{
				run(2, build.Failed, ended(day)),
				run(1, build.Failed, ended(3*day)),
				run(3, build.Failed, ended(2*day)),
			}, []string{"delete 1"},
		},
		"one that ended just now stays": {
			[]build.Run{
				run(1, build.Failed, ended(3*time.Minute)),
				run(2, build.Failed, ended(time.Minute)),
				run(3, build.Failed, ended(2*time.Minute)),
			}, []string{},
		},
		"one whose end is not known stays": {
			[]build.Run{
				run(1, build.Failed, ended(3*day), func(r *build.Run) { r.Completed = time.Time{} }),
				run(2, build.Failed, ended(day)),
				run(3, build.Failed, ended(2*day)),
			},
			[]string{},
		},
		"one whose workspace is retained for a newer one stays": {
			[]build.Run{
				run(1, build.Failed, ended(3*day)),
				run(2, build.Failed, ended(day), retains),
				run(3, build.Failed, ended(2*day)),
			}, []string{},
		},
		"one whose workspace is being published stays": {
			[]build.Run{
				run(1, build.Failed, ended(3*day)),
				run(2, build.Failed, ended(day)),
				run(3, build.Failed, ended(2*day)),
				run(4, build.Running, publishes),
			}, []string{},
		},
		"the newest of a description stays": {
			[]build.Run{
				run(1, build.Failed, ended(3*day)),
				run(2, build.Failed, ended(day), publishes),
				run(3, build.Failed, ended(2*day), publishes),
			}, []string{},
		},
		"a build that runs is not deleted": {
			[]build.Run{
				run(1, build.Running, func(r *build.Run) { r.Requested = now.Add(-9 * day) }),
				run(2, build.Failed, ended(day)),
				run(3, build.Failed, ended(2*day)),
			},
			[]string{"supersede 1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, summary(plan(tt.runs, Limits{Keep: 2}, now))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOnePlanDeletesABoundedNumber(t *testing.T) {
	t.Parallel()
	var runs []build.Run
	for n := range 100 {
		runs = append(runs, run(n, build.Failed, ended(time.Duration(n+2)*time.Hour)))
	}
	if got := len(plan(runs, Limits{Keep: 1}, now)); got != maxDeletes {
		t.Error(got)
	}
	if got := len(plan(runs, Limits{}, now)); got != 0 {
		t.Errorf("%d are deleted though all are kept", got)
	}
}

// TestPlanLeadsToOneBuild carries plans out against a cluster in which anything may happen
// between two of them: requests in any order, ends, cancellations and runs that somebody
// un-pauses. Our own plan never starts a second build of an object, and when nothing happens
// any more, the newest build of each object has been started.
func TestPlanLeadsToOneBuild(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var runs []build.Run
		find := func(id string) *build.Run {
			for i := range runs {
				if runs[i].ID == id {
					return &runs[i]
				}
			}
			return nil
		}
		act := func() (acted bool) {
			for _, a := range plan(append([]build.Run{}, runs...), Limits{}, now) {
				r := find(a.run.ID)
				acted = true
				switch a.verb {
				case start:
					for _, other := range runs {
						if other.Object == r.Object && other.ID != r.ID && other.Active() {
							t.Fatalf("%s starts while %s has not ended", r.ID, other.ID)
						}
					}
					r.Pending = false
				case supersede:
					r.Cancelling = true
				case remove:
					t.Fatal("nothing is to be deleted")
				}
			}
			return acted
		}
		steps := rapid.SliceOfN(rapid.IntRange(0, 5), 1, 40).Draw(t, "steps")
		for i, s := range steps {
			n := rapid.IntRange(0, 9).Draw(t, "n")
			switch {
			case s < 2:
				r := run(n*10+i, build.Queued, pending, device(fmt.Sprint(n%2)))
				if find(r.ID) == nil {
					runs = append(runs, r)
				}
			case len(runs) == 0:
			case s == 2: // Tekton ends a run that was started or cancelled
				if r := &runs[n%len(runs)]; !r.Pending || r.Cancelling {
					r.Phase = build.Cancelled
				}
			case s == 3:
				runs[n%len(runs)].Pending = false // by somebody else
			case s == 4:
				runs[n%len(runs)].Cancelling = true
			default:
				act()
			}
		}
		for i := 0; act(); i++ { // in the end
			for j := range runs {
				if runs[j].Cancelling {
					runs[j].Phase = build.Cancelled
				}
			}
			if i > len(runs)+2 {
				t.Fatal("the plan never ends")
			}
		}
		for j := range runs {
			if runs[j].Cancelling {
				runs[j].Phase = build.Cancelled
			}
		}
		act()
		for _, group := range byObject(runs) {
			if newest := group[0]; newest.Active() && newest.Pending {
				t.Fatalf("%s waits for ever", newest.ID)
			}
		}
	})
}
