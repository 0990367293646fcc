// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/git/gittest"
	"github.com/drogue-iot/ajour/pkg/hawkbit/hawkbittest"
	"github.com/drogue-iot/ajour/test/devtest"
	"github.com/drogue-iot/ajour/test/servers"
)

// credentials makes a folder of them.
func credentials(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// hawkbit serves a stand-in with a password, and returns its URL and the folder of the
// credentials for it.
func hawkbit(t *testing.T, s *hawkbittest.Server) (url, folder string) {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	if err := (devtest.Hawkbit{URL: srv.URL, User: s.User, Password: s.Password}).Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return srv.URL, credentials(t, map[string]string{"url": srv.URL, "user": s.User, "password": s.Password})
}

func TestFirmwareGoesToHawkbit(t *testing.T) {
	t.Parallel()
	url, folder := hawkbit(t, hawkbittest.New(hawkbittest.Options{User: "ci", Password: "planted-hawkbit"}))
	w := start(t, "--hawkbit="+folder)
	for app, image := range map[string]string{"alone": "", "both": ":latest"} {
		source, commit := serve(t, fstest.MapFS{"README": {Data: []byte("x"), Mode: 0o644}})
		w.createApp(app, devtest.HawkbitSpec(source, app, image, "shell:1", []string{"-c", makeFirmware}))
		b := w.await(devtest.AppPath(app), w.trigger("/apps/"+app)).Status.Build
		if b.Reason != "Succeeded" || b.Artifact.Hawkbit == nil || b.Artifact.Hawkbit.Controller != app ||
			(b.Artifact.Reference != "") != (image != "") {
			t.Errorf("%s: %+v %+v", app, b, b.Artifact)
		}
		got, _, err := devtest.Device{Hawkbit: url, Controller: app}.Poll(t.Context())
		if diff := cmp.Diff(
			devtest.Update{Name: app, Version: commit[:7], Content: commit[:7]},
			got,
		); diff != "" ||
			err != nil {
			t.Error(err, diff)
		}
		if _, out, _ := w.ajour("get", "build", b.Build); !strings.Contains(out, app+", distribution set ") {
			t.Error(out)
		}
	}
}

func TestHawkbitThatIsNotThereIsReported(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.createApp("fw", devtest.HawkbitSpec(anything(t), "fw", ":latest", "shell:1", []string{"-c", makeFirmware}))
	b := w.await(devtest.AppPath("fw"), w.trigger("/apps/fw")).Status.Build
	if b.Reason != "HawkbitPushFailed" || !strings.Contains(b.Message, "this installation has no hawkBit") {
		t.Errorf("%+v", b)
	}
	if b.Artifact == nil || b.Artifact.Digest == "" {
		t.Error("it does not say what is in the OCI registry")
	}
}

// TestAFailedPublishIsRepeatedWithoutCompiling: one of the destinations refuses at first. The
// builder counts how often it ran.
func TestAFailedPublishIsRepeatedWithoutCompiling(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		image, refusing, reason, message string
		pushed                           bool
	}{
		"from the OCI registry to hawkBit": {
			":latest",
			"hawkbit",
			"HawkbitPushFailed",
			"refuses the credentials",
			true,
		},
		"from the workspace to hawkBit": {
			"",
			"hawkbit",
			"HawkbitPushFailed",
			"refuses the credentials",
			false,
		},
		"from the workspace to the registry, and hawkBit": {
			":latest",
			"registry",
			"RegistryAuthFailed",
			"Unauthorized",
			false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, hawkbitFolder := hawkbit(t, hawkbittest.New(hawkbittest.Options{User: "ci", Password: "right"}))
			host := servers.StartRegistry(t, servers.RegistryOptions{User: "ci", Password: "right"}).Host
			passwords := map[string]string{
				"hawkbit":  filepath.Join(hawkbitFolder, "password"),
				"registry": filepath.Join(credentials(t, login(host, "right")), "config.json"),
			}
			right, err := os.ReadFile(passwords[tt.refusing])
			if err != nil {
				t.Fatal(err)
			}
			wrong := map[string]string{"hawkbit": "wrong", "registry": login(host, "wrong")["config.json"]}[tt.refusing]
			if err := os.WriteFile(passwords[tt.refusing], []byte(wrong), 0o600); err != nil {
				t.Fatal(err)
			}
			w := startWith(
				t, []string{"DOCKER_CONFIG=" + filepath.Dir(passwords["registry"])}, "--hawkbit="+hawkbitFolder,
				"--registry="+host+"/acme/", "--registry-plain-http",
			)
			ran := filepath.Join(t.TempDir(), "ran")
			w.createApp(
				"fw",
				devtest.HawkbitSpec(
					anything(t), "fw", tt.image, "shell:1",
					[]string{"-c", "echo x >> " + ran + "; " + makeFirmware},
				),
			)
			id := w.trigger("/apps/fw")
			failed := w.await(devtest.AppPath("fw"), id).Status.Build
			if failed.Reason != tt.reason || !strings.Contains(failed.Message, tt.message) ||
				(failed.Artifact != nil) != tt.pushed {
				t.Fatalf("%+v", failed)
			}
			if err := os.WriteFile(passwords[tt.refusing], right, 0o600); err != nil {
				t.Fatal(err)
			}
			code, out, errs := w.ajour("publish", id, "--wait")
			if code != 0 || !strings.Contains(out, "fw, distribution set ") {
				t.Fatalf("exit %d: %s%s", code, out, errs)
			}
			b := w.until(
				devtest.AppPath("fw"),
				func(o devtest.Object) bool { return o.Status.Build.Build != id && o.Status.Build.Final() },
			).Status.Build
			if b.Reason != "Succeeded" || b.Commit != failed.Commit || (b.Artifact.Digest != "") != (tt.image != "") ||
				b.Artifact.Hawkbit == nil {
				t.Errorf("%+v %+v", b, b.Artifact)
			}
			if tt.pushed && b.Artifact.Digest != failed.Artifact.Digest {
				t.Errorf("another artifact: %+v", b.Artifact)
			}
			if got, _, err := (devtest.Device{Hawkbit: url, Controller: "fw"}).Poll(
				t.Context(),
			); err != nil ||
				got.Content != b.Commit[:7] {
				t.Errorf("%+v %v", got, err)
			}
			if times, err := os.ReadFile(ran); err != nil || string(times) != "x\n" {
				t.Errorf("the builder ran: %q %v", times, err)
			}
		})
	}
}

func TestABuildThatLeftNothingIsNotRepublished(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.createApp("fw", shell(anything(t), "exit 1"))
	id := w.trigger("/apps/fw")
	w.await(devtest.AppPath("fw"), id)
	if code, _, errs := w.ajour("publish", id); code != 1 || !strings.Contains(errs, "build again") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, errs := w.ajour("publish", "0190f2a4-6c3b-7a57-8f0e-0242ac120002"); code != 1 || errs == "" {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// login is a docker configuration with a password of the user "ci".
func login(host, password string) map[string]string {
	auth := base64.StdEncoding.EncodeToString([]byte("ci:" + password))
	return map[string]string{"config.json": fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, auth)}
}

// TestNoSecretIsLeftBehind builds from a private repository to a registry with a login
// and to hawkBit, and looks for each password in all that there is afterwards.
func TestNoSecretIsLeftBehind(t *testing.T) {
	t.Parallel()
	_, hawkbitFolder := hawkbit(t, hawkbittest.New(hawkbittest.Options{User: "ci", Password: "planted-hawkbit"}))
	host := servers.StartRegistry(t, servers.RegistryOptions{User: "ci", Password: "planted-registry"}).Host
	auth := base64.StdEncoding.EncodeToString([]byte("ci:planted-registry"))
	source := private(t, "planted-git")
	data := t.TempDir()
	w := startWith(
		t,
		[]string{"DOCKER_CONFIG=" + credentials(t, login(host, "planted-registry"))},
		"--data="+data,
		"--hawkbit="+hawkbitFolder,
		"--registry="+host+"/acme/",
		"--registry-plain-http",
		"--git-credentials="+credentials(
			t,
			map[string]string{".git-credentials": strings.Replace(source, "http://", "http://ci:planted-git@", 1)},
		),
	)
	const search = `env; cat /proc/self/environ /proc/self/mounts; find "$HOME/../.." -type f | xargs cat; `
	w.createApp(
		"fw",
		devtest.HawkbitSpec(
			source,
			"fw",
			":latest",
			"shell:1",
			[]string{"-c", search + makeFirmware},
			func(b map[string]any) {
				b["artifact"] = map[string]any{"path": "firmware.bin", "maxSize": "1Ki", "attachments": []string{"README"}}
			},
		),
	)
	id := w.trigger("/apps/fw")
	if b := w.await(devtest.AppPath("fw"), id).Status.Build; b.Reason != "Succeeded" {
		t.Fatalf("%+v", b)
	}
	_, log, _ := w.ajour("logs", id)
	_, get, _ := w.ajour("get", "build", id, "-o", "json")
	if !strings.Contains(log, "REVISION=") {
		t.Error("the builder did not look")
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	left := map[string]string{"log": log, "build": get, "ajour dev": w.log.String()}
	files := 0
	if err := filepath.WalkDir(data, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		left[path] = string(content)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if files < 3 {
		t.Errorf("only %d files were looked at", files)
	}
	for where, text := range left {
		for _, secret := range []string{"planted-git", "planted-registry", "planted-hawkbit", auth, base64.StdEncoding.EncodeToString([]byte("ci:planted-git"))} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %s", where, secret)
			}
		}
	}
}

// private serves a repository to the user "ci" with a password alone.
func private(t *testing.T, password string) string {
	t.Helper()
	s, repo := gittest.Start(t)
	if _, err := repo.Commit(t.Context(), "main", fstest.MapFS{"README": {Data: []byte("x"), Mode: 0o644}}); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, given, _ := r.BasicAuth(); user != "ci" || given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	u, err := url.JoinPath(srv.URL, repo.Path())
	if err != nil {
		t.Fatal(err)
	}
	return u
}
