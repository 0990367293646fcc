// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/drogue-iot/ajour/test/devtest"
)

// TestTheProgressIsThatOfTheBuilder, by what it counts itself.
func TestTheProgressIsThatOfTheBuilder(t *testing.T) {
	t.Parallel()
	w, app := start(t), name(t)
	path := w.create(app, "", shell(t, "echo '[10/20] Building'; sleep 30; "+makeFirmware))
	id := w.trigger("/apps/" + app)
	w.until(path, func(o devtest.Object) bool {
		if o.Status.Build.Build == id && o.Status.Build.Final() {
			t.Fatal("the progress did not move before the end")
		}
		return o.Condition("BuildProgress").Message == "52.5 %"
	})
	if o := w.await(path, id); o.Condition("BuildProgress").Message != "100.0 %" {
		t.Errorf("%+v", o.Status)
	}
}
