// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

// sectionFirmware is the section of a Drogue object's status that has the conditions.
const sectionFirmware = "firmware"

// finished reports whether a run has ended whose end the record does not have, or has as
// unannounced. Of a build that is older than that of the record nothing is known: its end may
// be announced a second time, with the same event id.
func finished(old build.Record, run build.Run) bool {
	return run.Phase.Final() && (old.Build != run.ID || !old.Phase.Final() || old.Unannounced || later(old, run))
}

// later reports whether a run of the recorded build is a later one than the recorded run: a
// build that was given up before it had a run, or whose run was deleted, may get one after
// all.
func later(old build.Record, run build.Run) bool { return run.Started.After(old.Started) }

// decide brings the object's status up to date with a run, and reports whether that changed
// it. It changes nothing when the object has a newer build. Of a build that the object has as
// ended it only restores what others have removed: a later view of the run may have less,
// when pods or TaskRuns are gone.
func decide(o build.Object, run build.Run, unannounced bool, b brevity, now time.Time) (changed bool, err error) {
	old := build.RecordOf(o, now)
	same := old.Build == run.ID
	if old.Build != "" && !same && old.Run().Compare(run) > 0 {
		return false, nil
	}
	if build.Future(run.Requested, now) {
		return false, nil // it would win over all later builds
	}
	if run.Rejected != "" && run.Rejected != build.SectionHash(o.Firmware()) { // it was mended meanwhile
		return false, nil
	}
	if same && old.Phase.Final() && !old.Started.IsZero() && !later(old, run) {
		if !run.Phase.Final() {
			return false, nil
		}
		run = build.Run{ID: run.ID, Object: run.Object, UIDs: run.UIDs, Status: old.Status}
	}
	// A run that started over does not lose what was reported (A12). One that failed shows
	// where it failed.
	if same && !old.Phase.Final() && !run.Phase.Final() {
		run.Progress = max(run.Progress, old.Progress)
	}
	run = b.shorten(run)
	record := run.Record()
	record.Unannounced = unannounced
	section, err := json.Marshal(record)
	if err != nil {
		return false, fmt.Errorf("write record of build %s: %w", run.ID, err)
	}
	if b == bare {
		section = nil
	}
	firmware, err := mergeFirmware(o.Status(sectionFirmware), run, now)
	if err != nil {
		return false, err
	}
	for name, value := range map[string]json.RawMessage{build.SectionRecord: section, sectionFirmware: firmware} {
		if there := o.Status(name); (there != nil || value != nil) && !equal(there, value) {
			o.SetStatus(name, value)
			changed = true
		}
	}
	return changed, nil
}

// mergeFirmware puts the conditions into status.firmware and keeps everything
// else in it. A section that the update server could not read is repaired on the
// way: on a device it needs current and target, and a list of conditions (4.4,
// COND-3).
func mergeFirmware(raw json.RawMessage, run build.Run, now time.Time) (json.RawMessage, error) {
	section := map[string]json.RawMessage{}
	if json.Unmarshal(raw, &section) != nil || section == nil {
		section = map[string]json.RawMessage{}
	}
	var list []json.RawMessage
	if json.Unmarshal(section["conditions"], &list) != nil {
		list = nil
	}
	for _, c := range run.Conditions() {
		var err error
		if list, err = setCondition(list, c, transition(run, now)); err != nil {
			return nil, err
		}
	}
	conditions, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("write conditions: %w", err)
	}
	section["conditions"] = conditions
	if run.Object.Device != "" {
		for _, name := range []string{"current", "target"} {
			if s := ""; json.Unmarshal(section[name], &s) != nil {
				section[name] = json.RawMessage(`""`)
			}
		}
	}
	return json.Marshal(section)
}

// transition is when the state of a run began: conditions that the update
// server dropped come back with the time of the build's end, not of the repair
// (COND-5).
func transition(run build.Run, now time.Time) time.Time {
	if run.Phase.Final() && !run.Completed.IsZero() {
		return run.Completed.UTC().Truncate(time.Second)
	}
	return now.UTC().Truncate(time.Second)
}

// setCondition updates a list as Drogue's own helpers do (4.2, COND-1): reason
// and message are always replaced, the time only moves when the status does.
// Entries of other types stay as they are.
func setCondition(list []json.RawMessage, c build.Condition, at time.Time) ([]json.RawMessage, error) {
	c.LastTransitionTime = at
	for i, raw := range list {
		var old build.Condition
		if json.Unmarshal(raw, &old) != nil || old.Type != c.Type {
			continue
		}
		if old.Status == c.Status && !old.LastTransitionTime.IsZero() {
			c.LastTransitionTime = old.LastTransitionTime
		}
		data, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("write condition %s: %w", c.Type, err)
		}
		list[i] = data
		return list, nil
	}
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("write condition %s: %w", c.Type, err)
	}
	return append(list, data), nil
}

// equal compares JSON by value: the registry orders keys its own way.
func equal(a, b json.RawMessage) bool {
	normal := func(raw json.RawMessage) []byte {
		var v any
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		if dec.Decode(&v) != nil {
			return nil
		}
		data, err := json.Marshal(v)
		if err != nil {
			return nil
		}
		return data
	}
	return a != nil && bytes.Equal(normal(a), normal(b))
}
