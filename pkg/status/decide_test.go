// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// object is a Drogue object's status.
type object map[string]json.RawMessage

func (o object) Labels() map[string]string             { return nil }
func (o object) Firmware() json.RawMessage             { return o["spec.firmware"] }
func (o object) UID() string                           { return string(o["uid"]) }
func (o object) Status(section string) json.RawMessage { return o[section] }
func (o object) SetStatus(section string, value json.RawMessage) {
	if value == nil {
		delete(o, section)
		return
	}
	o[section] = value
}

func run(id string, requested time.Time, phase build.Phase, reason build.Reason, progress float64) build.Run {
	r := build.Run{
		ID: id, Name: build.RunName(id), UID: "u", Object: build.ObjectRef{Application: "a"},
		Status: build.Status{Requested: requested, Phase: phase, Reason: reason, Progress: progress},
	}
	if phase != build.Queued {
		r.Started = requested.Add(time.Second)
	}
	if phase.Final() {
		r.Completed = requested.Add(time.Minute)
	}
	return r
}

// firmware decodes status.firmware.
func firmware(t *testing.T, o object) (section struct {
	Conditions      []build.Condition
	Current, Target *string
},
) {
	t.Helper()
	if err := json.Unmarshal(o[sectionFirmware], &section); err != nil {
		t.Fatal(err)
	}
	return section
}

// outcome is what reading a run leads to.
type outcome struct{ changed, finished bool }

// apply decides and returns the outcome.
func apply(t *testing.T, o object, r build.Run, at time.Time) outcome {
	t.Helper()
	ended := finished(build.RecordOf(o, at), r)
	changed, err := decide(o, r, false, whole, at)
	if err != nil {
		t.Fatal(err)
	}
	return outcome{changed, ended}
}

// TestARecordOfAnEarlierObjectIsNone: whoever made the object anew may have copied it.
func TestARecordOfAnEarlierObjectIsNone(t *testing.T) {
	t.Parallel()
	r := run("1", now, build.Succeeded, build.ReasonSucceeded, 100)
	r.UIDs = build.UIDs{Application: "first"}
	o := object{"uid": json.RawMessage("first")}
	apply(t, o, r, now)
	if diff := cmp.Diff(r.Record(), build.RecordOf(o, now)); diff != "" {
		t.Error(diff)
	}
	o["uid"] = json.RawMessage("second")
	if got := build.RecordOf(o, now); got.Build != "" {
		t.Errorf("%+v", got)
	}
}

func TestABuildFromItsBeginningToItsEnd(t *testing.T) {
	t.Parallel()
	o := object{}
	later := now.Add(time.Minute)
	steps := []struct {
		run  build.Run
		at   time.Time
		want outcome
		list []build.Condition
	}{
		{
			run("1", now, build.Running, build.ReasonFetchingSource, 5), now,
			outcome{changed: true},
			[]build.Condition{
				{Type: "BuildStatus", Status: "Unknown", Reason: "FetchingSource", LastTransitionTime: now},
				{Type: "BuildProgress", Status: "Unknown", Message: "5.0 %", LastTransitionTime: now},
			},
		},
		{
			run("1", now, build.Running, build.ReasonBuilding, 20), now.Add(time.Second),
			outcome{changed: true},
			[]build.Condition{ // the status is the same, and so is its time (COND-1)
				{Type: "BuildStatus", Status: "Unknown", Reason: "Building", LastTransitionTime: now},
				{Type: "BuildProgress", Status: "Unknown", Message: "20.0 %", LastTransitionTime: now},
			},
		},
		{
			run("1", now, build.Succeeded, build.ReasonSucceeded, 100), later,
			outcome{changed: true, finished: true},
			[]build.Condition{
				{Type: "BuildStatus", Status: "True", Reason: "Succeeded", LastTransitionTime: later},
				{Type: "BuildProgress", Status: "True", Message: "100.0 %", LastTransitionTime: later},
			},
		},
	}
	for _, s := range steps {
		if diff := cmp.Diff(s.want, apply(t, o, s.run, s.at), cmp.AllowUnexported(outcome{})); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(s.list, firmware(t, o).Conditions); diff != "" {
			t.Error(diff)
		}
		if out := apply(t, o, s.run, s.at.Add(time.Hour)); out != (outcome{}) {
			t.Errorf("the same state again: %+v", out)
		}
	}
}

func TestNothingGoesBack(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ first, second build.Run }{
		"a late event of a build that ended": {
			run("2", now, build.Succeeded, build.ReasonSucceeded, 100), run("2", now, build.Running, build.ReasonBuilding, 20),
		},
		"a failure of an older build after a newer success": {
			run("2", now, build.Succeeded, build.ReasonSucceeded, 100), run(
				"1", now.Add(-time.Minute), build.Failed, build.ReasonBuildFailed, 20,
			),
		},
		"an older build that still runs": {
			run("2", now, build.Running, build.ReasonBuilding, 20), run(
				"1", now.Add(-time.Minute), build.Running, build.ReasonPublishing, 85,
			),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := object{}
			apply(t, o, tt.first, now)
			before := string(o[sectionFirmware]) + string(o[build.SectionRecord])
			if out := apply(t, o, tt.second, now); out.changed ||
				string(o[sectionFirmware])+string(o[build.SectionRecord]) != before {
				t.Errorf("%+v", out)
			}
		})
	}
}

// TestAViewWithLessTakesNothingAway: pods, and what they said, may be gone by then.
func TestAViewWithLessTakesNothingAway(t *testing.T) {
	t.Parallel()
	o := object{}
	rich := run("1", now, build.Failed, build.ReasonBuildFailed, 20)
	rich.Message, rich.Commit = "The builder exited with code 1: main.c:3:1: error: expected ;", "4f1c2ab"
	apply(t, o, rich, now)
	before := string(o[build.SectionRecord])
	poor := run("1", now, build.Failed, build.ReasonBuildFailed, 5)
	poor.Message = "The builder exited with code 1"
	o[sectionFirmware] = json.RawMessage(`{"current":"a"}`) // as the update server leaves it
	if out := apply(t, o, poor, now); out != (outcome{changed: true}) || string(o[build.SectionRecord]) != before {
		t.Errorf("%+v: %s", out, o[build.SectionRecord])
	}
	if c := firmware(t, o).Conditions; len(c) != 2 || c[0].Message != rich.Message || c[1].Message != "20.0 %" {
		t.Error(c)
	}
}

// TestARejectionThatComesLateIsNoneAnyMore: the description is a different one by now.
func TestARejectionThatComesLateIsNoneAnyMore(t *testing.T) {
	t.Parallel()
	const wrong = `{"container":{"image":"a:1","build":{}}}`
	for section, want := range map[string]bool{`{"container":{"image":"a:1","build":{"image":"b"}}}`: false, wrong: true} {
		o := object{"spec.firmware": json.RawMessage(section)}
		rejected := run("1", now, build.Failed, build.ReasonInvalidBuildSpec, 0)
		rejected.Rejected = build.SectionHash(json.RawMessage(wrong))
		if out := apply(t, o, rejected, now); out.changed != want {
			t.Errorf("%s: %+v", section, out)
		}
	}
}

// TestABuildThatWasGivenUpMayHaveARunAfterAll: who asks for it with the same key, gets one.
func TestABuildThatWasGivenUpMayHaveARunAfterAll(t *testing.T) {
	t.Parallel()
	o := object{}
	givenUp := run("1", now, build.Failed, build.ReasonInternalError, 0)
	givenUp.Started = time.Time{}
	for _, r := range []build.Run{
		givenUp,
		run("1", now, build.Running, build.ReasonBuilding, 20),
		run("1", now, build.Succeeded, build.ReasonSucceeded, 100),
	} {
		out := apply(t, o, r, now)
		if c := firmware(
			t,
			o,
		).Conditions; !out.changed || out.finished != r.Phase.Final() ||
			c[0].Reason != string(r.Reason) {
			t.Errorf("%s: %+v %v", r.Reason, out, c)
		}
	}
}

// TestAFailedBuildShowsWhereItFailed: the step after the builder may have been taken for
// the current one before.
func TestAFailedBuildShowsWhereItFailed(t *testing.T) {
	t.Parallel()
	o := object{}
	apply(t, o, run("1", now, build.Running, build.ReasonPublishing, 85), now)
	apply(t, o, run("1", now, build.Failed, build.ReasonBuildFailed, 20), now)
	if got := firmware(t, o).Conditions[1].Message; got != "20.0 %" {
		t.Error(got)
	}
}

// TestWhatIsOfTheFutureDoesNotCount: anybody who may write the object can plant a record, and
// it would win over all later builds.
func TestWhatIsOfTheFutureDoesNotCount(t *testing.T) {
	t.Parallel()
	planted := run("2", now.Add(time.Hour), build.Succeeded, build.ReasonSucceeded, 100)
	o := object{}
	if out := apply(t, o, planted, now); out.changed {
		t.Error("a run of the future is written")
	}
	for name, change := range map[string]func(*build.Record){
		"that was requested in the future": func(*build.Record) {},
		"that ends in the future":          func(r *build.Record) { r.Requested = now },
		"with a reason that is none":       func(r *build.Record) { r.Status = run("2", now, build.Failed, "Click", 0).Status },
		"with a phase that is none":        func(r *build.Record) { r.Status = run("2", now, "Done", build.ReasonSucceeded, 0).Status },
	} {
		record := planted.Record()
		change(&record)
		data, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		o[build.SectionRecord] = data
		if out := apply(t, o, run("1", now.Add(-time.Minute), build.Running, build.ReasonBuilding, 20), now); !out.changed {
			t.Errorf("a record %s counts", name)
		}
	}
}

func TestProgressNeverFallsWithinABuild(t *testing.T) {
	t.Parallel()
	o := object{}
	apply(t, o, run("1", now, build.Running, build.ReasonPublishing, 85), now)
	apply(t, o, run("1", now, build.Running, build.ReasonFetchingSource, 5), now) // it started over
	if got := firmware(t, o).Conditions[1].Message; got != "85.0 %" {
		t.Error(got)
	}
	apply(t, o, run("2", now.Add(1), build.Running, build.ReasonFetchingSource, 5), now)
	if got := firmware(t, o).Conditions[1].Message; got != "5.0 %" {
		t.Errorf("another build has the progress of the one before: %s", got)
	}
}

// TestTheUpdateServersPartStays: contract 4.4, COND-3 to COND-5.
func TestTheUpdateServersPartStays(t *testing.T) {
	t.Parallel()
	device := run("1", now, build.Succeeded, build.ReasonSucceeded, 100)
	device.Object.Device = "d"
	ours := `{"type":"BuildStatus","status":"True","reason":"Succeeded","lastTransitionTime":"2026-01-02T03:05:05Z"},` +
		`{"type":"BuildProgress","status":"True","message":"100.0 %","lastTransitionTime":"2026-01-02T03:05:05Z"}`
	for name, tt := range map[string]struct{ before, want string }{
		"its conditions and versions": {
			`{"current":"1b2c3d4","target":"4f1c2ab","conditions":[{"lastTransitionTime":"2023-05-17T13:00:00Z","status":"False","type":"InSync","x":1.0}],"more":1e2}`,
			`{"current":"1b2c3d4","target":"4f1c2ab","conditions":[{"lastTransitionTime":"2023-05-17T13:00:00Z","status":"False","type":"InSync","x":1.0},` + ours + `],"more":1e2}`,
		},
		"what it needs is added": {``, `{"current":"","target":"","conditions":[` + ours + `]}`},
		"a section that it cannot read is repaired": {
			`{"current":5,"conditions":{"a":1}}`, `{"current":"","target":"","conditions":[` + ours + `]}`,
		},
		"a section of another shape is replaced": {`[1]`, `{"current":"","target":"","conditions":[` + ours + `]}`},
		"a section that is null is replaced":     {`null`, `{"current":"","target":"","conditions":[` + ours + `]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := object{}
			if tt.before != "" {
				o[sectionFirmware] = json.RawMessage(tt.before)
			}
			apply(t, o, device, now.Add(time.Hour))
			if !equal(o[sectionFirmware], json.RawMessage(tt.want)) {
				t.Errorf("got  %s\nwant %s", o[sectionFirmware], tt.want)
			}
		})
	}
}

func TestConditionsThatVanishedComeBackWithTheirTime(t *testing.T) {
	t.Parallel()
	o := object{}
	r := run("1", now, build.Failed, build.ReasonBuildFailed, 20)
	apply(t, o, r, now)
	before := string(o[sectionFirmware])
	o[sectionFirmware] = json.RawMessage(`{"conditions":[]}`)
	if out := apply(t, o, r, now.Add(time.Hour)); out != (outcome{changed: true}) { // not finished once more
		t.Errorf("%+v", out)
	}
	if diff := cmp.Diff(before, string(o[sectionFirmware])); diff != "" {
		t.Error(diff)
	}
}

func FuzzDecide(f *testing.F) {
	f.Add([]byte(`{"conditions":[{"type":"BuildStatus"}]}`), []byte(`{"build":"0","phase":"Succeeded"}`))
	f.Add([]byte(`{"conditions":[null,5]}`), []byte(`null`))
	f.Fuzz(func(t *testing.T, section, rec []byte) {
		o := object{}
		if json.Valid(section) {
			o[sectionFirmware] = section
		}
		if json.Valid(rec) {
			o[build.SectionRecord] = rec
		}
		out := apply(t, o, run("1", now, build.Failed, build.ReasonBuildFailed, 20), now)
		if !out.changed {
			return
		}
		var after struct{ Conditions []json.RawMessage }
		if err := json.Unmarshal(o[sectionFirmware], &after); err != nil {
			t.Fatal(err)
		}
		types := map[string]bool{}
		for _, raw := range after.Conditions {
			var c build.Condition
			if json.Unmarshal(raw, &c) == nil {
				types[c.Type] = true
			}
		}
		if !types["BuildStatus"] || !types["BuildProgress"] {
			t.Errorf("%s became %s", section, o[sectionFirmware])
		}
	})
}
