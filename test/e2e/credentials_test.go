// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"cmp"
	"encoding/json"
	"strings"
	"testing"

	"github.com/drogue-iot/ajour/test/devtest"
)

// makeSecret makes a Secret in the namespace of builds.
func makeSecret(t *testing.T, name string, data map[string]string) {
	t.Helper()
	manifest, err := json.Marshal(map[string]any{
		"apiVersion": "v1",
		"kind":       "Secret",
		"metadata":   map[string]any{"name": name, "namespace": builds},
		"stringData": data,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kubectl(t.Context(), string(manifest), "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

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
				makeSecret(t, "git."+app, map[string]string{
					".git-credentials": strings.Replace(backend, "http://", "http://ci:"+password+"@", 1) + "\n",
				})
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

// TestSecretVariables are seen by the builder, in each layout, and are nowhere but in its log. A
// value that is missing fails the build, and the message names it.
func TestSecretVariables(t *testing.T) {
	t.Parallel()
	for _, inPods := range []bool{false, true} {
		for key, want := range map[string]string{"token": "Succeeded", "missing": "SecretNotFound", "": "SecretNotFound"} {
			t.Run(want+" "+key+map[bool]string{true: ", in pods"}[inPods], func(t *testing.T) {
				t.Parallel()
				w := start(t)
				app := name(t)
				message := "There is no Secret env." + app
				if key != "" {
					makeSecret(t, "env."+app, map[string]string{"token": "planted-" + app})
					message = "The Secret env." + app + " has no key missing"
				}
				url, _ := serve(t, map[string]string{"README": "x"})
				script := `case "$TOKEN" in planted-*) ` + makeFirmware + ";; esac"
				path := w.create(app, "", devtest.Spec(
					url, ":latest", images+"/shell:latest", []string{script}, func(b map[string]any) {
						b["secrets"] = []map[string]any{{"name": "TOKEN", "key": cmp.Or(key, "token")}}
					},
				))
				var id string
				if inPods {
					id = createInPods(t, w, app, path, "http://"+images)
				} else {
					id = w.trigger("/apps/" + app)
				}
				b := w.await(path, id).Status.Build
				if b.Reason != want || want != "Succeeded" && !strings.HasPrefix(b.Message, message+": ") {
					t.Errorf("%+v", b)
				}
				for _, kind := range []string{"pipelineruns", "taskruns", "pods", "events"} {
					out, err := kubectl(t.Context(), "", "--namespace", builds, "get", kind, "--output=yaml")
					if err != nil {
						t.Fatal(err)
					}
					if strings.Contains(out, "planted-"+app) {
						t.Errorf("%s hold the secret", kind)
					}
				}
			})
		}
	}
}
