// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	gcr "github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drogue-iot/ajour/test/devtest"
)

// TestTheMicrobitFirmwareBoots builds bare-metal firmware in pods, boots what was
// published, and compares what it prints with the version of the artifact.
func TestTheMicrobitFirmwareBoots(t *testing.T) {
	t.Parallel()
	w := start(t)
	url, commit := serve(t, folder(t, "../firmware/microbit"))
	app := name(t)
	path := w.create(app, "", devtest.Spec(url, app+":"+commit[:7], images+"/microbit:latest", []string{"firmware.bin"}))
	id := w.trigger("/apps/" + app)
	seen := map[string]bool{}
	o := w.until(path, func(o devtest.Object) bool {
		seen[o.Condition("BuildProgress").Message] = true
		return o.Status.Build.Build == id && o.Status.Build.Final()
	})
	var conditions []devtest.Condition
	for _, c := range o.Status.Firmware.Conditions {
		c.LastTransitionTime = time.Time{}
		conditions = append(conditions, c)
	}
	want := []devtest.Condition{
		{
			Type:   "BuildStatus",
			Status: "True",
			Reason: "Succeeded",
		},
		{Type: "BuildProgress", Status: "True", Message: "100.0 %"},
	}
	if diff := cmp.Diff(want, conditions); diff != "" {
		t.Fatal(diff, o.Status.Build.Message)
	}
	if len(seen) < 3 { // none, some, all
		t.Errorf("progress was never seen: %v", seen)
	}
	a := o.Status.Build.Artifact
	if a.Version != commit[:7] || o.Status.Build.Commit != commit {
		t.Errorf("version %s of commit %s, want %s", a.Version, o.Status.Build.Commit, commit)
	}
	firmware, _, err := devtest.Pull(a.Reference)
	if err != nil {
		t.Fatal(err)
	}
	var downloaded bytes.Buffer
	if err := w.Stream(t.Context(), devtest.Builds+"/builds/"+id+"/artifact", &downloaded); err != nil ||
		!bytes.Equal(downloaded.Bytes(), firmware) {
		t.Errorf("%d bytes are downloaded of %d: %v", downloaded.Len(), len(firmware), err)
	}
	printed, err := devtest.Boot(t.Context(), t.TempDir(), firmware, len(a.Version)+1)
	if err != nil || string(printed) != a.Version+"\n" {
		t.Errorf("the firmware prints %q, want %q: %v", printed, a.Version, err)
	}
	var log bytes.Buffer
	if err := w.Stream(t.Context(), devtest.Builds+"/builds/"+id+"/log", &log); err != nil ||
		!strings.Contains(log.String(), "arm-none-eabi-gcc") {
		t.Errorf("the log has no call of the compiler: %v %s", err, log.String())
	}
}

func TestADeviceIsBuiltByItsOwnDescription(t *testing.T) {
	t.Parallel()
	w := start(t)
	app, device := name(t), "sensor #7/é"
	w.create(app, "", shell(t, "exit 1"))
	path := w.create(app, device, shell(t, makeFirmware+`; test "$BOARD" = a`, func(b map[string]any) {
		b["env"] = []map[string]any{{"name": "BOARD", "value": "a"}}
	}))
	o := w.await(path, w.trigger("/apps/"+app+"/devices/sensor%20%237%2F%C3%A9"))
	if o.Status.Build.Reason != "Succeeded" {
		t.Error(o.Status.Build)
	}
}

func TestAChangedDescriptionIsBuilt(t *testing.T) {
	t.Parallel()
	w := start(t)
	app := name(t)
	path := w.create(app, "", shell(t, makeFirmware, func(b map[string]any) { delete(b, "triggers") }))
	if o := w.await(path, ""); o.Status.Build.Reason != "Succeeded" {
		t.Error(o.Status.Build)
	}
}

// TestABuildStartsInItsFolder: Tekton makes that folder before the source is there.
// The builder is a user of its own, who has to be able to write all the same.
func TestABuildStartsInItsFolder(t *testing.T) {
	t.Parallel()
	w := start(t)
	app := name(t)
	url, _ := serve(t, map[string]string{"boards/a/name": "a", "boards/a/src/main.c": "c", "boards/b/name": "b"})
	script := `grep -q a name && grep -q b ../b/name && echo x > src/other && ` + makeFirmware
	path := w.create(
		app,
		"",
		devtest.Spec(url, app+":latest", asUser(t, "shell", "1000"), []string{script}, func(b map[string]any) {
			b["source"].(map[string]any)["git"].(map[string]any)["project"] = "boards/a"
		}),
	)
	if o := w.await(path, w.trigger("/apps/"+app)); o.Status.Build.Reason != "Succeeded" {
		t.Error(o.Status.Build)
	}
}

// TestABuilderMayBeAnyUser but root, whom the namespace of builds does not admit: its git takes
// the source for its own, and it writes into all of that and into its home.
func TestABuilderMayBeAnyUser(t *testing.T) {
	t.Parallel()
	const script = `set -e
git describe --always | grep -qx "$REVISION"
git tag built
echo x > src/generated
mkdir -p target/debug "$HOME/.cache/toolchain"
echo x > "$HOME/.cache/toolchain/index"
` + makeFirmware
	for _, user := range []string{"65532", "1000", "1234567"} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			app := name(t)
			url, _ := serve(t, map[string]string{"README": "x", "src/main.c": "c"})
			path := w.create(app, "", devtest.Spec(url, app+":latest", asUser(t, "git", user), []string{script}))
			if o := w.await(path, w.trigger("/apps/"+app)); o.Status.Build.Reason != "Succeeded" {
				t.Error(o.Status.Build)
			}
		})
	}
}

// asUser pushes an image that runs a script as a different user, and returns its reference.
func asUser(t *testing.T, image, user string) string {
	t.Helper()
	from, err := gcr.ParseReference(images+"/"+image+":latest", gcr.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(from)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.Config.User, config.Config.Entrypoint = user, []string{"/bin/sh", "-c"}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	to, err := gcr.ParseReference(images+"/"+image+":user-"+user, gcr.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(to, img); err != nil {
		t.Fatal(err)
	}
	return to.String()
}

// TestABuildInPodsOfItsOwn asks for the layout that the installation does not use
// by default, which the status service understands all the same.
func TestABuildInPodsOfItsOwn(t *testing.T) {
	t.Parallel()
	w := start(t)
	app := name(t)
	path := w.create(app, "", shell(t, makeFirmware))
	id := createInPods(t, w, app, path, "http://"+images)
	o := w.await(path, id)
	if o.Status.Build.Reason != "Succeeded" || o.Status.Build.Artifact == nil {
		t.Error(o.Status.Build)
	}
}

// TestAPrivateRepositoryAndARegistryWithALogin are reached with the credentials of the
// installation, by HTTPS with a certificate that nobody but it trusts.
func TestAPrivateRepositoryAndARegistryWithALogin(t *testing.T) {
	t.Parallel()
	trustBackend(t)
	w := start(t)
	app := name(t)
	url, commit := serveAs(t, "private-"+name(t), map[string]string{"README": "x"})
	secure := strings.Replace(backend, "http://", "https://", 1)
	path := w.create(
		app, "",
		devtest.Spec(strings.Replace(url, backend, secure, 1), app+":latest", images+"/shell:latest", []string{makeFirmware}),
	)
	b := w.await(path, createInPods(t, w, app, path, secure)).Status.Build
	if b.Reason != "Succeeded" || b.Commit != commit {
		t.Fatalf("%+v", b)
	}
	plain := strings.Replace(b.Artifact.Reference, "/", ":80/", 1)
	firmware, _, err := devtest.Pull(
		plain,
		remote.WithAuth(&authn.Basic{Username: "ci", Password: "planted-registry-password"}),
	)
	if err != nil || string(firmware) != commit[:7] {
		t.Errorf("%q %v", firmware, err)
	}
	if b := w.await(path, w.trigger("/apps/"+app)).Status.Build; b.Reason != "Succeeded" {
		t.Errorf("in one pod: %+v", b)
	}
}

// trustBackend has builds trust the certificate of the backend, too.
func trustBackend(t *testing.T) {
	t.Helper()
	res, err := http.Get(backend + "/ca.crt")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	ca, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, map[string]any{
		"apiVersion": "v1",
		"kind":       "ConfigMap",
		"metadata":   map[string]any{"name": "trusted-ca", "namespace": builds},
		"data":       map[string]string{"ca.crt": string(ca)},
	})
}

// prepareHawkbit lets devices in.
func prepareHawkbit(t *testing.T) {
	t.Helper()
	if err := (devtest.Hawkbit{URL: backend, User: "admin", Password: "planted-hawkbit-password"}).Prepare(
		t.Context(),
	); err != nil {
		t.Fatal(err)
	}
}

// TestFirmwareGoesToHawkbit alone and beside an OCI registry, in each layout, and is
// read there as the update server does.
func TestFirmwareGoesToHawkbit(t *testing.T) {
	t.Parallel()
	prepareHawkbit(t)
	for _, alsoOCI := range []bool{false, true} {
		for _, inPods := range []bool{false, true} {
			t.Run(fmt.Sprintf("in an OCI registry, too: %t, in pods: %t", alsoOCI, inPods), func(t *testing.T) {
				t.Parallel()
				w := start(t)
				app, image := name(t), ""
				if alsoOCI {
					image = app + ":latest"
				}
				url, commit := serve(t, map[string]string{"README": "x"})
				path := w.create(app, "", devtest.HawkbitSpec(url, app, image, images+"/shell:latest", []string{makeFirmware}))
				var id string
				if inPods {
					id = createInPods(t, w, app, path, "http://"+images)
				} else {
					id = w.trigger("/apps/" + app)
				}
				b := w.await(path, id).Status.Build
				if b.Reason != "Succeeded" || b.Artifact == nil || b.Artifact.Hawkbit == nil ||
					b.Artifact.Hawkbit.Controller != app {
					t.Fatalf("%+v %+v", b, b.Artifact)
				}
				if alsoOCI {
					if firmware, _, err := devtest.Pull(b.Artifact.Reference); err != nil || string(firmware) != commit[:7] {
						t.Errorf("the OCI registry has %q: %v", firmware, err)
					}
				}
				got, _, err := devtest.Device{Hawkbit: backend, Controller: app}.Poll(t.Context())
				if diff := cmp.Diff(
					devtest.Update{Name: app, Version: commit[:7], Content: commit[:7]},
					got,
				); diff != "" ||
					err != nil {
					t.Error(err, diff)
				}
			})
		}
	}
}

// TestFirmwareIsRepublished from the OCI registry, without a builder.
func TestFirmwareIsRepublished(t *testing.T) {
	t.Parallel()
	w := start(t)
	app := name(t)
	url, commit := serve(t, map[string]string{"README": "x"})
	path := w.create(app, "", devtest.HawkbitSpec(url, app, app+":latest", images+"/shell:latest", []string{makeFirmware}))
	first := w.trigger("/apps/" + app)
	built := w.await(path, first).Status.Build
	if built.Reason != "Succeeded" {
		t.Fatalf("%+v", built)
	}
	var accepted struct{ ID string }
	if err := w.Call(
		t.Context(), http.MethodPost, devtest.Builds+"/builds/"+first+"/publish", nil, &accepted,
	); err != nil {
		t.Fatal(err)
	}
	b := w.await(path, accepted.ID).Status.Build
	if b.Reason != "Succeeded" || b.Commit != commit || b.Artifact.Digest != built.Artifact.Digest ||
		b.Artifact.Hawkbit == nil {
		t.Errorf("%+v %+v", b, b.Artifact)
	}
}

// TestWhatNoRegistryTookIsPublishedFromItsWorkspace: a registry that is away leaves the
// firmware on the claim of the run.
func TestWhatNoRegistryTookIsPublishedFromItsWorkspace(t *testing.T) {
	t.Parallel()
	prepareHawkbit(t)
	w := start(t)
	app := name(t)
	url, commit := serve(t, map[string]string{"README": "x"})
	const differing = `read id < /proc/sys/kernel/random/uuid; printf '%s %s' "$REVISION" "$id" > firmware.bin; cat firmware.bin`
	path := w.create(app, "", devtest.HawkbitSpec(url, app, app+":latest", images+"/shell:latest", []string{differing}))
	id := createInPods(t, w, app, path, "http://127.0.0.1:1")
	failed := w.await(path, id).Status.Build
	if failed.Reason != "RegistryPushFailed" || failed.Artifact != nil {
		t.Fatalf("%+v", failed)
	}
	var log strings.Builder
	if err := w.Stream(t.Context(), devtest.Builds+"/builds/"+id+"/log", &log); err != nil {
		t.Fatal(err)
	}
	var accepted struct{ ID string }
	if err := w.Call(t.Context(), http.MethodPost, devtest.Builds+"/builds/"+id+"/publish", nil, &accepted); err != nil {
		t.Fatal(err)
	}
	b := w.await(path, accepted.ID).Status.Build
	if b.Reason != "Succeeded" || b.Commit != commit || b.Artifact.Hawkbit == nil {
		t.Fatalf("%+v %+v", b, b.Artifact)
	}
	firmware, _, err := devtest.Pull(b.Artifact.Reference)
	if err != nil || !strings.HasPrefix(string(firmware), commit[:7]+" ") ||
		!strings.Contains(log.String(), string(firmware)) {
		t.Errorf("the registry has %q, the builder made:\n%s%v", firmware, log.String(), err)
	}
	if got, _, err := (devtest.Device{Hawkbit: backend, Controller: app}).Poll(
		t.Context(),
	); err != nil ||
		got.Content != string(firmware) {
		t.Errorf("%+v %v", got, err)
	}
}

func TestWhoMayNotTriggerIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t)
	app := name(t)
	w.create(app, "", shell(t, makeFirmware))
	req, err := http.NewRequestWithContext(
		t.Context(), http.MethodPost, api+devtest.Builds+"/apps/"+app+"/trigger", http.NoBody,
	)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.Token+"x")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Error(res.Status)
	}
}
