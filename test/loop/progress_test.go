// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/drogue-iot/ajour/test/devtest"
)

// TestTheProgressMoves while the builder runs: by what it counts, then by how long the build before it
// took. The object shows what the API shows.
func TestTheProgressMoves(t *testing.T) {
	t.Parallel()
	w := start(t)
	flag := filepath.Join(t.TempDir(), "go-on")
	w.createApp("demo", shell(anything(t), fmt.Sprintf(
		"echo '[10/20] Building'; while [ ! -e %s ]; do sleep 0.05; done; %s", flag, makeFirmware,
	)))
	type build struct {
		Progress float64
		Expected time.Time
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	until := func(id string, done func(build) bool) build {
		t.Helper()
		for {
			var b build
			if err := w.Call(ctx, http.MethodGet, devtest.Builds+"/builds/"+id, nil, &b); err == nil && done(b) {
				return b
			}
			select {
			case <-ctx.Done():
				t.Fatalf("%+v", b)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	id := w.trigger("/apps/demo")
	if b := until(id, func(b build) bool { return b.Progress > 20 }); b.Progress != 52.5 || !b.Expected.IsZero() {
		t.Errorf("%+v", b)
	}
	w.until(devtest.AppPath("demo"), func(o devtest.Object) bool {
		return o.Condition("BuildProgress").Message == "52.5 %"
	})
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := w.await(devtest.AppPath("demo"), id)
	if got := o.Condition("BuildProgress").Message; got != "100.0 %" || o.Status.Build.Reason != "Succeeded" {
		t.Error(got, o.Status.Build)
	}
	if err := os.Remove(flag); err != nil {
		t.Fatal(err)
	}
	id = w.trigger("/apps/demo")
	b := until(id, func(b build) bool { return !b.Expected.IsZero() && b.Progress > 0 })
	if b.Progress >= 100 {
		t.Errorf("%+v", b)
	}
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.await(devtest.AppPath("demo"), id)
}
