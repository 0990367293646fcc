// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package loop tests the whole loop: "ajour dev" as a process of its own, used
// over HTTP and through the command line, with real git repositories.
package loop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	// The program is built by TestMain: an import makes the go command see that
	// a result is out of date when the program changes.
	_ "github.com/drogue-iot/ajour/pkg/cli"
	"github.com/drogue-iot/ajour/pkg/git/gittest"
	"github.com/drogue-iot/ajour/test/devtest"
)

// program is the path of the program under test.
var program string

func TestMain(m *testing.M) { os.Exit(devtest.Main(m, &program)) }

// world is a running "ajour dev" with a git server.
type world struct {
	*devtest.Dev
	t      *testing.T
	config string
	log    *bytes.Buffer
}

// start starts "ajour dev", which maps the builder image "shell" to sh and
// "golang" to go.
func start(t *testing.T, args ...string) *world {
	t.Helper()
	return startWith(t, nil, args...)
}

// startWith does so with further variables of the environment.
func startWith(t *testing.T, env []string, args ...string) *world {
	t.Helper()
	w := &world{t: t, config: t.TempDir(), log: &bytes.Buffer{}}
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{
		"--listen=127.0.0.1:0",
		"--engine=none",
		"--verbose",
		"--builder=shell=sh",
		"--builder=golang=go",
		"--builder=make=make",
		"--builder-env=GOCACHE=" + strings.TrimSpace(string(cache)),
	}, args...)
	w.Dev, err = devtest.Start(
		t.Context(),
		devtest.Options{Program: program, Config: w.config, Args: args, Env: env, Log: w.log},
	)
	if err != nil {
		t.Fatalf("%v\n%s", err, w.log)
	}
	t.Cleanup(func() {
		if err := w.Stop(); err != nil {
			t.Errorf("end of ajour dev: %v", err)
		}
		if t.Failed() {
			t.Logf("ajour dev printed:\n%s", w.log)
		}
	})
	return w
}

// ajour runs a command and returns its exit code, its output and its errors.
func (w *world) ajour(args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+w.config)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// serve makes a repository of the files and returns its URL and commit.
func serve(t *testing.T, files fstest.MapFS) (url, commit string) {
	t.Helper()
	s, repo := gittest.Start(t)
	commit, err := repo.Commit(t.Context(), "main", files)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return srv.URL + repo.Path(), commit
}

// folder returns the files of a folder of this repository.
func folder(t *testing.T, path string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(path, p)
		files[rel] = &fstest.MapFile{Data: data, Mode: 0o644}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// anything is a repository for builds that bring their own command.
func anything(t *testing.T) string {
	t.Helper()
	url, _ := serve(t, fstest.MapFS{"README": {Data: []byte("x"), Mode: 0o644}})
	return url
}

// shell describes a build that runs a script.
func shell(url, script string, change ...func(map[string]any)) map[string]any {
	return devtest.Spec(url, ":latest", "shell:1", []string{"-c", script}, change...)
}

const makeFirmware = "printf %s \"$REVISION\" > firmware.bin"

func (w *world) createApp(name string, spec map[string]any) {
	w.t.Helper()
	object := map[string]any{"metadata": map[string]any{"name": name}, "spec": devtest.Of(name, spec)}
	if err := w.Call(w.t.Context(), http.MethodPost, devtest.Apps, object, nil); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) createDevice(app, name string, spec map[string]any) {
	w.t.Helper()
	object := map[string]any{
		"metadata": map[string]any{"application": app, "name": name}, "spec": devtest.Of(app, spec),
	}
	if err := w.Call(w.t.Context(), http.MethodPost, devtest.AppPath(app)+"/devices", object, nil); err != nil {
		w.t.Fatal(err)
	}
}

// trigger triggers a build and returns its id.
func (w *world) trigger(path string) string {
	w.t.Helper()
	var accepted struct{ ID string }
	if err := w.Call(w.t.Context(), http.MethodPost, devtest.Builds+path+"/trigger", nil, &accepted); err != nil {
		w.t.Fatal(err)
	}
	return accepted.ID
}

// await returns the object when the build has ended.
func (w *world) await(path, id string) devtest.Object {
	w.t.Helper()
	return w.until(path, func(o devtest.Object) bool { return o.Status.Build.Build == id && o.Status.Build.Final() })
}

func (w *world) until(path string, done func(devtest.Object) bool) devtest.Object {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	o, err := w.Watch(ctx, path, nil, done)
	if err != nil {
		w.t.Fatalf("%s: %v", path, err)
	}
	return o
}

// build is what is read of a build in the API.
type build struct {
	ID, App, Device, Status, Reason, Message, Cause, Requester string
	Progress                                                   float64
}

func (w *world) builds(query string) []build {
	w.t.Helper()
	var list []build
	if err := w.Call(w.t.Context(), http.MethodGet, devtest.Builds+"/builds"+query, nil, &list); err != nil {
		w.t.Fatal(err)
	}
	return list
}

// cliBuild reads a build through the command line.
func (w *world) cliBuild(id string) (b build) {
	w.t.Helper()
	code, out, errs := w.ajour("get", "build", id, "-o", "json")
	if err := json.Unmarshal([]byte(out), &b); err != nil || code != 0 {
		w.t.Fatalf("exit %d: %v %s", code, err, errs)
	}
	return b
}

// freePort returns a port of this machine that nobody uses at the moment.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
