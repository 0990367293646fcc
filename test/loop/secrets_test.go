// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drogue-iot/ajour/test/devtest"
)

// ofApplications makes a folder with the Secrets of applications.
func ofApplications(t *testing.T, secrets map[string]map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, files := range secrets {
		if err := os.Rename(credentials(t, files), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestSecretsOfTenantsAreSeenByTheirStepsAlone: green and blue have passwords for git of their
// own, and variables of one name. Each builder sees its own variable, and nothing else is anywhere.
func TestSecretsOfTenantsAreSeenByTheirStepsAlone(t *testing.T) {
	t.Parallel()
	data, sources, secrets := t.TempDir(), map[string]string{}, map[string]map[string]string{}
	apps := []string{"green", "blue"}
	for _, app := range apps {
		sources[app] = private(t, "planted-git-"+app)
		secrets["git."+app] = map[string]string{
			".git-credentials": strings.Replace(sources[app], "http://", "http://ci:planted-git-"+app+"@", 1),
		}
		secrets["env."+app] = map[string]string{"token": "planted-env-" + app + "\n", "unused": "planted-unused-" + app}
	}
	w := start(t, "--data="+data, "--secrets="+ofApplications(t, secrets))
	const search = `env; cat /proc/self/environ; find "$HOME/../.." -type f | xargs cat; `
	ids := map[string]string{}
	for _, app := range apps {
		w.createApp(app, shell(
			sources[app], search+makeFirmware, member("secrets", []map[string]any{{"name": "TOKEN", "key": "token"}}),
		))
		ids[app] = w.trigger("/apps/" + app)
	}
	left := map[string]string{}
	for _, app := range apps {
		b := w.await(devtest.AppPath(app), ids[app]).Status.Build
		if b.Reason != "Succeeded" {
			t.Fatalf("%s: %+v", app, b)
		}
		_, log, _ := w.ajour("logs", ids[app])
		if !strings.Contains(log, "TOKEN=planted-env-"+app+"\n") {
			t.Errorf("the builder of %s does not see its variable:\n%s", app, log)
		}
		_, left["build of "+app], _ = w.ajour("get", "build", ids[app], "-o", "json")
		left["log of "+app] = strings.ReplaceAll(log, "planted-env-"+app, "")
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	left["ajour dev"] = w.log.String()
	if err := filepath.WalkDir(data, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, "build.log") {
			return err
		}
		content, err := os.ReadFile(path)
		left[path] = string(content)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for where, text := range left {
		if strings.Contains(text, "planted-") {
			t.Errorf("%s holds a secret", where)
		}
	}
}

// TestASecretIsInNoMessage, though the builder printed it with its error, and who may not write
// the application does not read the log.
func TestASecretIsInNoMessage(t *testing.T) {
	t.Parallel()
	w := start(t, "--secrets="+ofApplications(t, map[string]map[string]string{"env.green": {"TOKEN": "planted-token"}}))
	spec := shell(
		anything(t),
		`echo "error: $TOKEN is refused"; exit 3`,
		member("secrets", []map[string]any{{"name": "TOKEN"}}),
	)
	w.createApp("green", spec)
	if err := w.Call(t.Context(), http.MethodPut, "/api/admin/v1alpha1/apps/green/members", map[string]any{
		"members": map[string]any{"rob": map[string]any{"role": "reader"}},
	}, nil); err != nil {
		t.Fatal(err)
	}
	id := w.trigger("/apps/green")
	b := w.await(devtest.AppPath("green"), id).Status.Build
	if b.Reason != "BuildFailed" || b.Message != "The builder exited with code 3" {
		t.Errorf("%+v", b)
	}
	if _, get, _ := w.ajour("get", "build", id); strings.Contains(get, "planted") {
		t.Error(get)
	}
	if _, log, _ := w.ajour("logs", id); !strings.Contains(log, "error: planted-token is refused") {
		t.Error(log)
	}
	rob, err := w.As(t.Context(), "rob")
	if err != nil {
		t.Fatal(err)
	}
	var refused *devtest.StatusError
	path := devtest.Builds + "/builds/" + id
	if err := rob.Stream(
		t.Context(),
		path+"/log",
		&strings.Builder{},
	); !errors.As(err, &refused) ||
		refused.Status != http.StatusForbidden {
		t.Errorf("a reader of the application reads the log: %v", err)
	}
	if err := rob.Call(t.Context(), http.MethodGet, path, nil, nil); err != nil {
		t.Errorf("a reader of the application does not see the build: %v", err)
	}
}

// TestASecretVariableWithoutAValue says which it is, and keeps the builder from starting.
func TestASecretVariableWithoutAValue(t *testing.T) {
	t.Parallel()
	w := start(t, "--secrets="+ofApplications(t, map[string]map[string]string{"env.keyless": {"OTHER": "x"}}))
	const remedy = ": ask those who run the installation to add it, or remove it from build.secrets"
	for app, message := range map[string]string{
		"keyless": "The Secret env.keyless has no key TOKEN" + remedy,
		"without": "There is no Secret env.without" + remedy,
	} {
		w.createApp(app, shell(anything(t), makeFirmware, member("secrets", []map[string]any{{"name": "TOKEN"}})))
		b := w.await(devtest.AppPath(app), w.trigger("/apps/"+app)).Status.Build
		if b.Reason != "SecretNotFound" || b.Message != message {
			t.Errorf("%+v", b)
		}
	}
}
