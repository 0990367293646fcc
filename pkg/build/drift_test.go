// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
)

// device is an object with a section status.firmware.
type device struct {
	build.Object
	status string
}

func (d device) Status(section string) json.RawMessage {
	if section != "firmware" || d.status == "" {
		return nil
	}
	return json.RawMessage(d.status)
}

func TestDriftOf(t *testing.T) {
	t.Parallel()
	since := time.Date(2023, 5, 17, 13, 0, 0, 0, time.UTC)
	const at = `"lastTransitionTime":"2023-05-17T13:00:00Z"`
	status := func(conditions string) string {
		return `{"current":"1b2c3d4","target":"4f1c2ab","conditions":[` + conditions + `]}`
	}
	known := func(state build.DriftState, change func(*build.Drift)) build.Drift {
		d := build.Drift{
			State: state, Wanted: "main", Built: "4f1c2ab", Running: "1b2c3d4", Target: "4f1c2ab", Since: since,
		}
		if change != nil {
			change(&d)
		}
		return d
	}
	unknown := func(message string) build.Drift {
		return build.Drift{State: build.DriftUnknown, Wanted: "main", Built: "4f1c2ab", Message: message}
	}
	const broken = "The update server cannot read status.firmware of the device: remove that section, or build once, which repairs it"
	for name, tt := range map[string]struct {
		status string
		want   build.Drift
	}{
		"in sync":     {status(`{"type":"InSync","status":"True",` + at + `}`), known(build.InSync, nil)},
		"not in sync": {status(`{"type":"InSync","status":"False",` + at + `}`), known(build.NotInSync, nil)},
		"updating": {
			status(`{"type":"InSync","status":"False",` + at + `},{"type":"UpdateProgress","status":"Unknown","message":"44.20",` + at + `}`),
			known(build.Updating, func(d *build.Drift) { d.Progress = 44.2 }),
		},
		"a progress that is no number": {
			status(`{"type":"InSync","status":"False",` + at + `},{"type":"UpdateProgress","status":"Unknown","message":"NaN",` + at + `}`),
			known(build.NotInSync, nil),
		},
		"nothing to deliver": {
			status(`{"type":"InSync","status":"False","reason":"no such\nimage","message":"Error retrieving firmware metadata",` + at + `}`),
			known(build.NotInSync, func(d *build.Drift) { d.Message = "Error retrieving firmware metadata: no such image" }),
		},
		"never reported":              {"", unknown("The device has reported nothing yet")},
		"no condition of the server":  {status(``), known(build.DriftUnknown, func(d *build.Drift) { d.Since, d.Message = time.Time{}, "The device has reported nothing yet" })},
		"what the server cannot read": {`{"current":"a","conditions":[]}`, unknown(broken)},
		"conditions that are no list": {`{"current":"a","target":"b","conditions":{}}`, unknown(broken)},
		"a section that is no object": {`"x"`, unknown(broken)},
	} {
		d := build.Description{Image: "greenhouse:main"}
		r := build.Record{Status: build.Status{Phase: build.Succeeded, Artifact: &build.Artifact{Version: "4f1c2ab"}}}
		if diff := cmp.Diff(tt.want, build.DriftOf(device{status: tt.status}, d, r)); diff != "" {
			t.Error(name, diff)
		}
	}
}
