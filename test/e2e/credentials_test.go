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

// apply applies an object.
func apply(t *testing.T, object map[string]any) {
	t.Helper()
	manifest, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kubectl(t.Context(), string(manifest), "apply", "--filename=-"); err != nil {
		t.Fatal(err)
	}
}

// makeSecret makes a Secret in the namespace of builds.
func makeSecret(t *testing.T, name string, data map[string]string) {
	t.Helper()
	apply(t, map[string]any{
		"apiVersion": "v1",
		"kind":       "Secret",
		"metadata":   map[string]any{"name": name, "namespace": builds},
		"stringData": data,
	})
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

// nowhere looks for what must not be there in all that builds leave, and in what the services log.
func nowhere(t *testing.T, w *world, id, secret string) {
	t.Helper()
	var log strings.Builder
	if err := w.Stream(t.Context(), devtest.Builds+"/builds/"+id+"/log", &log); err != nil {
		t.Fatal(err)
	}
	left := map[string]string{"the log of the build": log.String()}
	for what, args := range map[string][]string{
		"runs": {"--namespace=" + builds, "get", "pipelineruns,taskruns,pods,events", "--output=yaml"},
		"the services' logs": {
			"--namespace=ajour", "logs", "--selector=app.kubernetes.io/part-of=ajour", "--tail=-1", "--max-log-requests=10",
		},
	} {
		out, err := kubectl(t.Context(), "", args...)
		if err != nil {
			t.Fatal(err)
		}
		left[what] = out
	}
	for what, text := range left {
		if strings.Contains(text, secret) {
			t.Errorf("%s: a secret is there", what)
		}
	}
}

// TestSecretsOfTenants are seen by the steps that need them, in each layout, and are nowhere else:
// passwords for git, and variables of builders, of one name for all. A value that is missing fails
// the build, and the message names it.
func TestSecretsOfTenants(t *testing.T) {
	t.Parallel()
	for _, inPods := range []bool{false, true} {
		for key, want := range map[string]string{"token": "Succeeded", "missing": "SecretNotFound", "": "SecretNotFound"} {
			t.Run(want+" "+key+map[bool]string{true: ", in pods"}[inPods], func(t *testing.T) {
				t.Parallel()
				w := start(t)
				app := name(t)
				message := "There is no Secret env." + app
				if key != "" {
					makeSecret(t, "env."+app, map[string]string{"token": "hidden-" + app})
					message = "The Secret env." + app + " has no key missing"
				}
				makeSecret(t, "git."+app, map[string]string{
					// The password that the server takes is the installation's, whose Secret is not used.
					".git-credentials": strings.Replace(backend, "http://", "http://ci:planted-git-password@", 1) +
						"\nhttps://ci:planted-git-" + app + "@git.example.org\n",
				})
				url, _ := serveAs(t, "private-"+name(t), map[string]string{"README": "x"})
				// The builder sees its own, and no other. What runs hold of the script is no secret.
				script := `test "$TOKEN" = "hidden-$APP" && p=plan && ! env | grep "${p}ted-" && ` + makeFirmware
				path := w.create(app, "", devtest.Spec(
					url, ":latest", images+"/shell:latest", []string{script}, func(b map[string]any) {
						b["env"], b["triggers"] = []map[string]any{{"name": "APP", "value": app}}, []string{"manual"}
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
				nowhere(t, w, id, "hidden-"+app)
				nowhere(t, w, id, "planted-git-")
			})
		}
	}
}
