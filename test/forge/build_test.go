// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drogue-iot/ajour/test/devtest"
	"github.com/drogue-iot/ajour/test/servers"
)

// folder makes one with these files, whose name does harm where it is not quoted.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a 'b' %h")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// read returns the contents of files.
func read(t *testing.T, files ...string) (all string) {
	t.Helper()
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all += string(data)
	}
	return all
}

// dev starts "ajour dev", which fetches with the credentials and publishes to a registry
// with a certificate and a login of its own, by a token or not.
func (w *world) dev(
	t *testing.T, credentials map[string]string, token bool, flags ...string,
) (*devtest.Dev, remote.Option, remote.Option) {
	t.Helper()
	registry := servers.StartRegistry(
		t,
		servers.RegistryOptions{User: "ci", Password: "planted-registry", Token: token, TLS: true},
	)
	auth := base64.StdEncoding.EncodeToString([]byte("ci:planted-registry"))
	var log bytes.Buffer
	dev, err := devtest.Start(t.Context(), devtest.Options{
		Program: ajour,
		Config:  t.TempDir(),
		Log:     &log,
		Env: []string{
			"DOCKER_CONFIG=" + folder(
				t,
				map[string]string{"config.json": fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, registry.Host, auth)},
			),
		},
		Args: append([]string{
			"--listen=127.0.0.1:0", "--engine=none", "--builder=shell=sh", "--registry=" + registry.Host + "/acme/",
			"--git-credentials=" + folder(t, credentials),
			"--trusted-ca=" + folder(t, map[string]string{"ca.crt": read(t, w.forge.CA, registry.CA)}),
		}, flags...),
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	t.Cleanup(func() {
		if err := dev.Stop(); err != nil || t.Failed() {
			t.Errorf("end of ajour dev: %v\n%s", err, &log)
		}
	})
	return dev, remote.WithAuth(
			&authn.Basic{Username: "ci", Password: "planted-registry"},
		), remote.WithTransport(
			registry.Client(t).Transport,
		)
}

// buildAll builds what the forge has, by the embedded mode from its description to the
// firmware in a registry.
func (w *world) buildAll(t *testing.T, uri string, credentials map[string]string, token bool) {
	t.Helper()
	dev, login, transport := w.dev(t, credentials, token)
	for _, tt := range []struct{ rev, script, commit, want string }{
		{"main", "cat boards/a/main.c blob.bin library/lib.c", w.commits[1], "second" + lfsContent + "first"},
		{"v1", "cat boards/a/main.c", w.commits[0], "first"},
		{w.commits[0][:8], "cat boards/a/main.c", w.commits[0], "first"},
	} {
		app := "app-" + tt.rev
		spec := devtest.Spec(
			uri,
			app+":latest",
			"shell:1",
			[]string{"-c", tt.script + " > firmware.bin"},
			func(b map[string]any) {
				b["source"] = map[string]any{"git": map[string]any{"uri": uri, "rev": tt.rev, "project": "."}}
			},
		)
		if err := dev.Call(
			t.Context(), http.MethodPost, devtest.Apps,
			map[string]any{"metadata": map[string]any{"name": app}, "spec": spec}, nil,
		); err != nil {
			t.Fatal(err)
		}
		if err := dev.Call(t.Context(), http.MethodPost, devtest.Builds+"/apps/"+app+"/trigger", nil, nil); err != nil {
			t.Fatal(err)
		}
		o, err := dev.Watch(
			t.Context(), devtest.AppPath(app), nil, func(o devtest.Object) bool { return o.Status.Build.Final() },
		)
		if err != nil {
			t.Fatal(err)
		}
		b := o.Status.Build
		if b.Reason != "Succeeded" || b.Commit != tt.commit {
			t.Fatalf("%s: %+v", tt.rev, b)
		}
		firmware, _, err := devtest.Pull(b.Artifact.Reference, login, transport)
		if diff := cmp.Diff(tt.want, string(firmware)); diff != "" || err != nil {
			t.Error(tt.rev, err, diff)
		}
	}
}
