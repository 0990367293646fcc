// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/drogue-iot/ajour/test/devtest"
)

// TestAnApplicationHasCredentialsOfItsOwn, in each layout: they take the place of those of the
// installation, wrong ones too, which the failure names.
func TestAnApplicationHasCredentialsOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, inPods := range []bool{false, true} {
		for password, want := range map[string]string{"planted-git-password": "Succeeded", "planted-wrong-password": "SourceAuthFailed"} {
			t.Run(password+map[bool]string{true: ", in pods"}[inPods], func(t *testing.T) {
				t.Parallel()
				w := start(t)
				app := name(t)
				manifest, err := json.Marshal(map[string]any{
					"apiVersion": "v1",
					"kind":       "Secret",
					"metadata":   map[string]any{"name": "git." + app, "namespace": builds},
					"stringData": map[string]any{
						".git-credentials": strings.Replace(backend, "http://", "http://ci:"+password+"@", 1) + "\n",
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := kubectl(t.Context(), string(manifest), "apply", "-f", "-"); err != nil {
					t.Fatal(err)
				}
				url, _ := serveAs(t, "private-"+name(t), map[string]string{"README": "x"})
				path := w.create(app, "", devtest.Spec(url, ":latest", images+"/shell:latest", []string{makeFirmware}))
				var id string
				if inPods {
					id = createInPods(t, w, app, path, "http://"+images)
				} else {
					id = w.trigger("/apps/" + app)
				}
				b := w.await(path, id).Status.Build
				if b.Reason != want || want != "Succeeded" && !strings.Contains(b.Message, "of the Secret git."+app) {
					t.Errorf("%+v", b)
				}
				if strings.Contains(b.Message, "password") {
					t.Errorf("the password is in the message: %s", b.Message)
				}
			})
		}
	}
}
