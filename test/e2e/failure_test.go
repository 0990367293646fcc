// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/drogue-iot/ajour/test/devtest"
)

// TestFailuresSayWhatToDo covers the reasons that need a cluster, and that the
// steps' own reasons come through it.
func TestFailuresSayWhatToDo(t *testing.T) {
	t.Parallel()
	set := func(member string, value any) func(map[string]any) {
		return func(b map[string]any) { b[member] = value }
	}
	rev := func(b map[string]any) { b["source"].(map[string]any)["git"].(map[string]any)["rev"] = "none" }
	project := func(b map[string]any) { b["source"].(map[string]any)["git"].(map[string]any)["project"] = "boards/a" }
	for _, tt := range []struct {
		name, script, reason, message string
		change                        func(map[string]any)
	}{
		{
			"an image that is not there",
			makeFirmware,
			"BuilderImagePullFailed",
			"no-such-image",
			set("image", images+"/no-such-image:1"),
		},
		{
			"an image that wants to be root",
			makeFirmware,
			"BuilderImagePullFailed",
			"not as root",
			set("image", images+"/busybox:latest"),
		},
		{"a builder that takes all memory", "dd if=/dev/zero of=/dev/null bs=1G count=1", "BuildOutOfMemory", "memory", nil},
		{"a builder that takes too long", "sleep 600", "TimedOut", "20s", set("timeout", "20s")},
		{"a builder that fails", "echo main.c:1:2: error: boom >&2; exit 3", "BuildFailed", "main.c:1:2: error: boom", nil},
		{"a builder that leaves nothing", "true", "ArtifactNotFound", "firmware.bin", nil},
		{
			"an artifact that points out of the source",
			"ln -s /etc/passwd firmware.bin",
			"ArtifactInvalid",
			"firmware.bin",
			nil,
		},
		{"an artifact that is a pipe", "mkfifo firmware.bin", "ArtifactInvalid", "firmware.bin", nil},
		{
			"a workspace that leads to the credentials", "busybox mv /workspace/source /workspace/x; ln -s /credentials /workspace/source", "ArtifactInvalid", "config.json",
			set("artifact", map[string]any{"path": "config.json"}),
		},
		{"a revision that is not there", makeFirmware, "RevisionNotFound", "none", rev},
		{"a host that is not allowed", makeFirmware, "InvalidBuildSpec", "no address that this installation fetches from", func(b map[string]any) {
			b["source"].(map[string]any)["git"].(map[string]any)["uri"] = "http://10.0.2.1:5000/fw.git"
		}},
		{"a scheme that is not allowed", makeFirmware, "InvalidBuildSpec", "does not fetch by ssh", func(b map[string]any) {
			b["source"].(map[string]any)["git"].(map[string]any)["uri"] = "ssh://git@git.example.org/fw.git"
		}},
		{"a folder that is not there", makeFirmware, "SourceNotFound", `no folder "boards/a"`, project},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			app := name(t)
			var changes []func(map[string]any)
			if tt.change != nil {
				changes = append(changes, tt.change)
			}
			path := w.create(app, "", shell(t, tt.script, changes...))
			b := w.await(path, w.trigger("/apps/"+app)).Status.Build
			if b.Phase != "Failed" || b.Reason != tt.reason || !strings.Contains(b.Message, tt.message) {
				t.Errorf("%s %s: %s; want %s: ...%s...", b.Phase, b.Reason, b.Message, tt.reason, tt.message)
			}
		})
	}
}

func TestACancelledBuildSaysWhoDidIt(t *testing.T) {
	t.Parallel()
	w := start(t)
	app := name(t)
	path := w.create(app, "", shell(t, "sleep 600"))
	id := w.trigger("/apps/" + app)
	w.until(path, func(o devtest.Object) bool { return o.Status.Build.Build == id && o.Status.Build.Phase == "Running" })
	if err := w.Call(t.Context(), http.MethodDelete, devtest.Builds+"/builds/"+id, nil, nil); err != nil {
		t.Fatal(err)
	}
	if b := w.await(path, id).Status.Build; b.Phase != "Cancelled" || !strings.Contains(b.Message, "developer") {
		t.Error(b)
	}
}

// TestNoPodOutlivesItsBuild: Tekton leaves that of an image which cannot be started, and
// often that of a build which is superseded in the moment in which it begins.
func TestNoPodOutlivesItsBuild(t *testing.T) {
	t.Parallel()
	w := start(t)
	app := name(t)
	path := w.create(app, "", shell(t, makeFirmware, func(b map[string]any) { b["image"] = images + "/busybox:latest" }))
	ids := []string{w.trigger("/apps/" + app), w.trigger("/apps/" + app)}
	w.await(path, ids[1])
	for _, id := range ids {
		_, err := kubectl(
			t.Context(), "", "--namespace="+builds, "wait", "--for=delete", "pods",
			"--selector=ajour.drogue.io/build="+id, "--field-selector=status.phase!=Succeeded,status.phase!=Failed",
			"--timeout=2m",
		)
		if err != nil {
			t.Error(err)
		}
	}
}

// TestABuilderFindsNoSecret lets a builder search for all that the installation
// knows, and looks itself for it in everything that a build leaves behind.
func TestABuilderFindsNoSecret(t *testing.T) {
	t.Parallel()
	w := start(t)
	app := name(t)
	const search = `env; ls -la /credentials /var/run/secrets/kubernetes.io; cat /credentials/* /credentials/.* /trusted-ca/* /tekton/run/*/*; grep -r planted / --include='*.json' 2>/dev/null; ` + makeFirmware
	url, _ := serveAs(t, "private-"+name(t), map[string]string{"README": "x"})
	path := w.create(
		app,
		"",
		devtest.HawkbitSpec(url, app, app+":latest", images+"/shell:latest", []string{search}, func(b map[string]any) {
			// A user's variables are the builder's alone, though the pod is shared.
			b["env"] = []map[string]any{
				{"name": "HTTPS_PROXY", "value": "http://127.0.0.1:1"},
				{"name": "HTTP_PROXY", "value": "http://127.0.0.1:1"},
				{"name": "SSL_CERT_FILE", "value": "/workspace/ca.crt"},
			}
		}),
	)
	id := w.trigger("/apps/" + app)
	o := w.await(path, id)
	if o.Status.Build.Reason != "Succeeded" {
		t.Error(o.Status.Build)
	}
	left := map[string]string{}
	var log strings.Builder
	if err := w.Stream(t.Context(), devtest.Builds+"/builds/"+id+"/log", &log); err != nil {
		t.Fatal(err)
	}
	left["log"] = log.String()
	for _, kind := range []string{"pipelineruns", "taskruns", "pods", "events"} {
		out, err := kubectl(t.Context(), "", "--namespace", builds, "get", kind, "--output=yaml")
		if err != nil {
			t.Fatal(err)
		}
		left[kind] = out
	}
	for what, text := range left {
		if strings.Contains(text, "planted-") {
			t.Errorf("%s holds a secret", what)
		}
	}
	if !strings.Contains(log.String(), "REVISION=") {
		t.Error("the builder did not look")
	}
}

// TestABuilderCannotForgeResults: it adds to the message that its container leaves,
// which is where Tekton finds the results of a Task.
func TestABuilderCannotForgeResults(t *testing.T) {
	t.Parallel()
	w := start(t)
	app := name(t)
	url, commit := serve(t, map[string]string{"README": "x"})
	const forge = `printf '[{"key":"commit","value":"forged","type":1},{"key":"image-digest","value":"forged","type":1},{"key":"reason","value":"forged","type":4}]' > /tekton/termination; ` + makeFirmware
	path := w.create(app, "", devtest.Spec(url, app+":latest", images+"/shell:latest", []string{forge}))
	b := w.await(path, w.trigger("/apps/"+app)).Status.Build
	if b.Phase != "Succeeded" || b.Commit != commit || b.Artifact == nil ||
		!strings.HasPrefix(b.Artifact.Digest, "sha256:") {
		t.Errorf("%+v", b)
	}
}
