// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/test/devtest"
)

// kills is how often the process is killed in the middle of its work.
const kills = 50

// TestNothingIsLostAndNothingIsBuiltTwice kills "ajour dev" at random points and
// restarts it. Every build that was accepted has to end exactly once, with
// its conditions on the object.
func TestNothingIsLostAndNothingIsBuiltTwice(t *testing.T) {
	t.Parallel()
	url := anything(t)
	data, config, address := t.TempDir(), t.TempDir(), freePort(t)
	log := &bytes.Buffer{}
	begin := func() *world {
		t.Helper()
		dev, err := devtest.Start(t.Context(), devtest.Options{
			Program: program,
			Config:  config,
			Log:     log,
			Args: []string{
				"--listen=" + address,
				"--data=" + data,
				"--engine=none",
				"--builder=shell=sh",
				"--parallel=4",
				"--verbose",
			},
		})
		if err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		return &world{Dev: dev, t: t, config: config, log: log}
	}
	accepted := map[string]string{} // the builds, by application
	for i := range kills {
		w := begin()
		lifetime := time.AfterFunc(time.Duration(rand.IntN(700))*time.Millisecond, func() { _ = w.Kill() })
		for n := 0; ; n++ {
			app := fmt.Sprintf("app-%d-%d", i, n)
			id, ok := createAndTrigger(t.Context(), w, app, shell(url, "sleep 0.1; "+makeFirmware))
			if !ok {
				break
			}
			accepted[app] = id
			if n == 2 {
				break
			}
		}
		<-w.Exited()
		lifetime.Stop()
	}
	w := begin()
	t.Cleanup(func() {
		if err := w.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s", log)
		}
	})
	t.Logf("%d builds were accepted in %d lives", len(accepted), kills)
	if len(accepted) < kills/2 {
		t.Errorf("only %d builds were accepted: too few to tell anything", len(accepted))
	}
	for app, id := range accepted {
		o := w.await(devtest.AppPath(app), id)
		want := []devtest.Condition{
			{Type: "BuildStatus", Status: "True", Reason: "Succeeded"},
			{Type: "BuildProgress", Status: "True", Message: "100.0 %"},
		}
		got := conditions(t, o)
		if len(got) > 0 {
			got[0].Message = "" // the warning about the tag
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", app, diff)
		}
	}
	// A trigger whose answer was lost may have been taken: it is a build, too,
	// but none of the accepted ones may be there twice.
	runs := map[string]int{}
	for _, b := range w.builds("?limit=1000") {
		if id, ok := accepted[b.App]; ok {
			runs[b.App]++
			if b.ID != id {
				t.Errorf("%s was built as %s, not only as %s", b.App, b.ID, id)
			}
		}
	}
	for app, n := range runs {
		if n != 1 {
			t.Errorf("%s was built %d times", app, n)
		}
	}
	if len(runs) != len(accepted) {
		t.Errorf("%d of %d builds are known", len(runs), len(accepted))
	}
}

// createAndTrigger reports false when the process died before it accepted.
func createAndTrigger(ctx context.Context, w *world, app string, spec map[string]any) (string, bool) {
	object := map[string]any{"metadata": map[string]any{"name": app}, "spec": devtest.Of(app, spec)}
	if err := w.Call(ctx, http.MethodPost, devtest.Apps, object, nil); err != nil {
		return "", false
	}
	var answer struct{ ID string }
	if err := w.Call(ctx, http.MethodPost, devtest.Builds+"/apps/"+app+"/trigger", nil, &answer); err != nil {
		return "", false
	}
	return answer.ID, true
}
