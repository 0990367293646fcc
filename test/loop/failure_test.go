// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/drogue-iot/ajour/pkg/git/gittest"
	"github.com/drogue-iot/ajour/test/devtest"
)

func source(key, value string) func(map[string]any) {
	return func(b map[string]any) {
		b["source"].(map[string]any)["git"].(map[string]any)[key] = value
	}
}

func member(key string, value any) func(map[string]any) {
	return func(b map[string]any) { b[key] = value }
}

// TestEveryFailureSaysWhy: on the object, in the API and on the command line.
func TestEveryFailureSaysWhy(t *testing.T) {
	t.Parallel()
	w := start(t)
	url := anything(t)
	away := gittest.Away(t)
	for app, tt := range map[string]struct {
		spec    map[string]any
		reason  string
		message string // a pattern
	}{
		"branch": {
			shell(url, makeFirmware, source("rev", "nosuch")),
			"RevisionNotFound",
			`^Revision "nosuch" is not a branch, tag or commit of http://.*$`,
		},
		"missing": {shell(url+"x", makeFirmware), "SourceNotFound", `^Repository .* was not found: check its address`},
		"away":    {shell("http://"+away+"/fw.git", makeFirmware), "SourceUnavailable", `^Repository .* could not be reached: `},
		"folder":  {shell(url, makeFirmware, source("project", "none")), "SourceNotFound", `has no folder "none"$`},
		"compiler": {
			shell(
				url,
				"echo 'cc main.c'; echo 'main.c:3:1: error: unknown type name \"foo\"' >&2; echo 'make: *** [firmware.bin] Error 1' >&2; exit 2",
			),
			"BuildFailed",
			`^The builder exited with code 2: main.c:3:1: error: unknown type name "foo"$`,
		},
		"artifact": {shell(url, "true"), "ArtifactNotFound", `^The builder left no file "firmware.bin": check artifact.path`},
		"empty": {
			shell(url, ": > firmware.bin"),
			"ArtifactInvalid",
			`^Artifact "firmware.bin" cannot be published: it is empty$`,
		},
		"link": {
			shell(url, "ln -s /etc/passwd firmware.bin"),
			"ArtifactInvalid",
			`it is a link with an absolute path: make that relative, or copy the file$`,
		},
		"image": {
			devtest.Spec(url, ":1", "quay.io/acme/builder:1", nil),
			"BuilderImagePullFailed",
			`^Builder image "quay.io/acme/builder:1" cannot be run here: install podman or docker, or map it .*--builder quay.io/acme/builder=PROGRAM$`,
		},
		"timeout": {
			shell(url, "sleep 60", member("timeout", "1s")),
			"TimedOut",
			`^The build did not end within 1s: raise build.timeout`,
		},
	} {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			w := &world{Dev: w.Dev, t: t, config: w.config, log: w.log}
			w.createApp(app, tt.spec)
			id := w.trigger("/apps/" + app)
			o := w.await(devtest.AppPath(app), id)
			match := regexp.MustCompile(tt.message)
			c := o.Condition("BuildStatus")
			if c.Status != "False" || c.Reason != tt.reason || !match.MatchString(c.Message) ||
				o.Condition("BuildProgress").Status != "False" {
				t.Errorf("the object has %+v", conditions(t, o))
			}
			if b := w.cliBuild(id); b.Status != "Failed" || b.Reason != tt.reason || !match.MatchString(b.Message) {
				t.Errorf("the command line has %+v", b)
			}
			code, out, _ := w.ajour("trigger", app, "--wait")
			if code != 1 || !strings.Contains(out, tt.reason) {
				t.Errorf("a build that fails ends with %d: %s", code, out)
			}
		})
	}
}

func TestAWrongDescriptionIsRefusedAndReported(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.createApp("wrong", shell(anything(t), makeFirmware, member("timeout", "0"), member("args", "x")))
	code, _, errs := w.ajour("trigger", "wrong")
	for _, want := range []string{"spec.firmware.container.build.timeout", "spec.firmware.container.build.args: is a string: write a list"} {
		if code != 1 || !strings.Contains(errs, want) {
			t.Errorf("exit %d: %s", code, errs)
		}
	}
	o := w.until(devtest.AppPath("wrong"), func(o devtest.Object) bool { return o.Status.Build.Final() })
	c := o.Condition("BuildStatus")
	if c.Status != "False" || c.Reason != "InvalidBuildSpec" ||
		!strings.Contains(c.Message, "spec.firmware.container.build.timeout") {
		t.Errorf("%+v", c)
	}
	if list := w.builds(""); len(list) != 0 {
		t.Errorf("there are builds: %+v", list)
	}
}

// TestTheSeedsExample: a registry that refuses the push is quoted.
func TestTheSeedsExample(t *testing.T) {
	t.Parallel()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			inner.ServeHTTP(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(rw, `{"errors":[{"code":"UNKNOWN","message":"foo"}]}`)
	}))
	t.Cleanup(srv.Close)
	w := start(t, "--registry="+strings.TrimPrefix(srv.URL, "http://")+"/acme/", "--registry-plain-http")
	w.createApp("fw", shell(anything(t), makeFirmware))
	o := w.await(devtest.AppPath("fw"), w.trigger("/apps/fw"))
	c := o.Condition("BuildStatus")
	if c.Status != "False" || c.Reason != "RegistryPushFailed" || c.Message != "Failed pushing artifact to registry: foo" {
		t.Errorf("%+v", c)
	}
}

func TestACancelledBuildEnds(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.createApp("fw", shell(anything(t), "sleep 60"))
	id := w.trigger("/apps/fw")
	w.until(devtest.AppPath("fw"), func(o devtest.Object) bool { return o.Status.Build.Reason == "Building" })
	if code, out, errs := w.ajour("cancel", id); code != 0 || out != "Build "+id+" is being cancelled.\n" {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	o := w.await(devtest.AppPath("fw"), id)
	if c := o.Condition("BuildStatus"); c.Reason != "Cancelled" || c.Message != "The build was cancelled by developer" {
		t.Errorf("%+v", c)
	}
	if code, _, errs := w.ajour("cancel", id); code != 1 || !strings.Contains(errs, "ended already") {
		t.Errorf("a second time: exit %d: %s", code, errs)
	}
}

// TestABuilderSeesOnlyWhatIsDeclared: its environment, and nothing of ours.
func TestABuilderSeesOnlyWhatIsDeclared(t *testing.T) {
	t.Setenv("PLANTED_SECRET", "hunter2")
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	w := start(t)
	w.createApp(
		"fw",
		shell(anything(t), "env; pwd; "+makeFirmware, member("env", []map[string]any{{"name": "MYENV", "value": "foo"}})),
	)
	id := w.trigger("/apps/fw")
	w.await(devtest.AppPath("fw"), id)
	_, out, _ := w.ajour("logs", id)
	names := map[string]bool{}
	_, env, _ := strings.Cut(out, "== build-firmware\n")
	env, _, _ = strings.Cut(env, "== publish")
	for line := range strings.Lines(env) {
		if name, _, ok := strings.Cut(line, "="); ok {
			names[name] = true
		}
	}
	for _, name := range []string{
		"GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0", "GOCACHE", "HOME", "LANG", "MYENV", "PATH", "REVISION",
		"TMPDIR", "PWD", "OLDPWD", "SHLVL", "_",
	} {
		delete(names, name)
	}
	if len(names) > 0 || strings.Contains(out, "hunter2") {
		t.Errorf("the builder sees %v", names)
	}
}

// TestTheEndLeavesNothing: neither processes nor files, also in mid-build.
func TestTheEndLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	w := start(t)
	w.createApp("fw", shell(anything(t), "sleep 4242 & sleep 4242"))
	w.trigger("/apps/fw")
	w.until(devtest.AppPath("fw"), func(o devtest.Object) bool { return o.Status.Build.Reason == "Building" })
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(tmp, "ajour-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if left, err := filepath.Glob(filepath.Join(w.config, "ajour", "*")); err != nil || len(left) > 0 {
		t.Errorf("session files are still there: %v %v", left, err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		if line, err := os.ReadFile(p); err == nil && strings.Contains(string(line), "sleep\x004242") {
			t.Errorf("%s still runs", p)
		}
	}
}
