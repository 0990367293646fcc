// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e tests an installation on a real cluster: that of test/cluster, or
// any other that KUBECONFIG names. "make e2e" prepares it and runs the tests.
//
// The tests reach the services by their names in the cluster, through the proxy
// that HTTP_PROXY names. For a cluster of your own, set KUBECONFIG, HTTP_PROXY to a
// proxy in it, AJOUR_TEST_REGISTRY to a registry that takes pushes over plain HTTP,
// fill that with "cluster push REGISTRY", and set KO_DOCKER_REPO below it. Kafka is started beside the
// cluster of test/cluster only: leave its test out by -skip TestTheLastChangeThatKafka on yours.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drogue-iot/ajour/test/devtest"
)

const (
	backend = "http://backend.ajour-test.svc.cluster.local"
	api     = "http://api.ajour.svc.cluster.local"
	builds  = "ajour-builds"
	// within bounds the wait for one build. Two cores run many at a time.
	within = 4 * time.Minute
)

// images is the registry that has the builder images, and takes the firmware.
var images = os.Getenv("AJOUR_TEST_REGISTRY")

func TestMain(m *testing.M) {
	if images == "" || os.Getenv("KUBECONFIG") == "" {
		fmt.Fprintln(
			os.Stderr,
			`no cluster: run "make e2e", which prepares one, or set KUBECONFIG, AJOUR_TEST_REGISTRY and HTTP_PROXY`,
		)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// world is one test's view of the installation.
type world struct {
	devtest.Client
	t *testing.T
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, Client: devtest.Client{URL: backend, API: api}}
	res, err := http.PostForm(backend+"/realms/drogue/token", url.Values{"username": {"developer"}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	w.Token = answer.Token
	return w
}

// name returns a name that no other run of the tests has used.
func name(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("e2e-%d", time.Now().UnixNano())
}

// serve makes a repository of the files, and returns its URL and its commit.
func serve(t *testing.T, files map[string]string) (url, commit string) {
	t.Helper()
	return serveAs(t, name(t), files)
}

func serveAs(t *testing.T, name string, files map[string]string) (url, commit string) {
	t.Helper()
	body, err := json.Marshal(files)
	if err != nil {
		t.Fatal(err)
	}
	url = backend + "/git/" + name
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, string(text), err)
	}
	return url + ".git", string(text)
}

func folder(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(data)
	}
	return files
}

const makeFirmware = `printf %s "$REVISION" > firmware.bin`

// shell describes a build that runs a script, of a repository that has nothing.
func shell(t *testing.T, script string, change ...func(map[string]any)) map[string]any {
	t.Helper()
	url, _ := serve(t, map[string]string{"README": "x"})
	return devtest.Spec(url, ":latest", images+"/shell:latest", []string{script}, change...)
}

func (w *world) create(app, device string, spec map[string]any) (path string) {
	w.t.Helper()
	at, metadata := devtest.Apps, map[string]any{"name": app}
	path = devtest.AppPath(app)
	if device != "" {
		at, metadata = path+"/devices", map[string]any{"application": app, "name": device}
		path = devtest.DevicePath(app, device)
	}
	if err := w.Call(
		w.t.Context(), http.MethodPost, at, map[string]any{"metadata": metadata, "spec": devtest.Of(app, spec)}, nil,
	); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// trigger asks for a build and returns its id.
func (w *world) trigger(path string) string {
	w.t.Helper()
	var accepted struct{ ID string }
	if err := w.Call(w.t.Context(), http.MethodPost, devtest.Builds+path+"/trigger", nil, &accepted); err != nil {
		w.t.Fatal(err)
	}
	return accepted.ID
}

// await waits until the object says that a build has ended, "" for any.
func (w *world) await(path, id string) devtest.Object {
	w.t.Helper()
	return w.until(path, func(o devtest.Object) bool {
		return (id == "" || o.Status.Build.Build == id) && o.Status.Build.Final()
	})
}

func (w *world) until(path string, done func(devtest.Object) bool) devtest.Object {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), within)
	defer cancel()
	o, err := w.Watch(ctx, path, nil, done)
	if err != nil {
		out, _ := exec.Command("kubectl", "--namespace", builds, "get", "pipelineruns,taskruns,pods").CombinedOutput()
		w.t.Fatalf("%v\n%s", err, out)
	}
	return o
}

// kubectl runs a command against the cluster.
func kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}
