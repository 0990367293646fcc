// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

const (
	// toolsDir holds the module that pins everything that is compiled.
	toolsDir = "test/cluster/tools"
	// imagesRevision has to be raised when images.go or addons.go change what
	// is in the images or manifests: the cache is keyed by it.
	imagesRevision = "2"
	// dataDir holds the state of the running cluster. There is one on a machine.
	dataDir = "/var/lib/ajour-cluster"
)

// layout names all files of the cluster.
type layout struct {
	data  string // gone with the cluster
	cache string // stored, by version
}

func newLayout() (layout, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return layout{}, fmt.Errorf("find cache folder: %w", err)
	}
	l := layout{data: dataDir, cache: filepath.Join(cache, "ajour", "cluster")}
	pins, err := os.ReadFile(filepath.Join(toolsDir, "go.mod"))
	switch {
	case errors.Is(err, fs.ErrNotExist): // not in the repository: no command that needs the cache works
		return l, nil
	case err != nil:
		return l, fmt.Errorf("read versions: %w", err)
	}
	sum := sha256.Sum256([]byte(string(pins) + runtime.Version() + runtime.GOARCH))
	l.cache = filepath.Join(l.cache, hex.EncodeToString(sum[:6]))
	return l, nil
}

func (l layout) bin(program string) string { return filepath.Join(l.cache, "bin", program) }

// images is the cached registry with everything but what the tests push.
func (l layout) images() string { return filepath.Join(l.cache, "images-"+imagesRevision) }

func (l layout) path(elem ...string) string {
	return filepath.Join(append([]string{l.data}, elem...)...)
}

func (l layout) logs() string                  { return l.path("logs") }
func (l layout) kubeconfig(user string) string { return l.path("kube", user+".kubeconfig") }
func (l layout) cert(name string) string       { return l.path("pki", name+".crt") }
func (l layout) key(name string) string        { return l.path("pki", name+".key") }

// lockFile is locked by the sandbox as long as it lives; it holds its pid, as
// seen from this machine, and the port of its proxy.
func (l layout) lockFile() string { return l.path("lock") }

// sandbox is a running cluster.
type sandbox struct{ pid, port int }

// running finds the running cluster, nil if there is none.
func (l layout) running() (*sandbox, error) {
	f, err := os.Open(l.lockFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, fmt.Errorf("look for the cluster: %w", err)
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return nil, nil //nolint:nilnil // there was one
	}
	data, err := os.ReadFile(l.path("sandbox"))
	if err != nil {
		return nil, fmt.Errorf("look for the cluster: %w", err)
	}
	fields := strings.Fields(string(data))
	if len(fields) != 2 {
		return nil, fmt.Errorf("look for the cluster: %s is broken", l.path("sandbox"))
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil {
		return nil, fmt.Errorf("look for the cluster: %w", err)
	}
	port, err := strconv.Atoi(fields[1])
	if err != nil {
		return nil, fmt.Errorf("look for the cluster: %w", err)
	}
	return &sandbox{pid, port}, nil
}

// lockStart waits for a concurrent start of the cluster to end: it must not be taken for
// one that never became ready.
func (l layout) lockStart() (unlock func(), err error) {
	if err := os.MkdirAll(l.cache, 0o755); err != nil {
		return nil, fmt.Errorf("make cache: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(l.cache, "start.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("wait for another start: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for another start: %w", err), f.Close())
	}
	return func() { _ = f.Close() }, nil // closing it unlocks it
}

var errNotRunning = errors.New(`no cluster is running: start it with "make cluster"`)

func printIfRunning(l layout, text string) error {
	s, err := l.running()
	if err != nil {
		return err
	}
	if s == nil {
		return errNotRunning
	}
	fmt.Fprintln(os.Stdout, text)
	return nil
}

// printEnv prints what tools on this machine need. Only plain HTTP goes through
// the proxy, so that the Go module proxy stays reachable.
func printEnv(l layout) error {
	s, err := l.running()
	if err != nil {
		return err
	}
	if s == nil {
		return errNotRunning
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	for _, v := range [][2]string{
		{"KUBECONFIG", l.kubeconfig("admin")},
		{"HTTP_PROXY", fmt.Sprintf("http://127.0.0.1:%d", s.port)},
		{"http_proxy", fmt.Sprintf("http://127.0.0.1:%d", s.port)}, // for curl
		{"KO_DOCKER_REPO", registryAddress + "/ajour"},
		{"AJOUR_TEST_REGISTRY", registryAddress},
		{"AJOUR_TEST_CLUSTER", self},
		{"AJOUR_TEST_NETWORK", fmt.Sprintf("/proc/%d/ns/net", s.pid)},
		{"PATH", filepath.Dir(l.bin("kubectl")) + ":$PATH"},
	} {
		fmt.Fprintf(os.Stdout, "export %s=%q\n", v[0], v[1])
	}
	return nil
}
