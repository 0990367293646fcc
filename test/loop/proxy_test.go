// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/drogue-iot/ajour/pkg/git/gittest"
	"github.com/drogue-iot/ajour/pkg/hawkbit/hawkbittest"
	"github.com/drogue-iot/ajour/test/devtest"
	"github.com/drogue-iot/ajour/test/servers"
)

// outside is what a test in a network namespace of its own has to know of the servers, which it
// cannot connect to.
type outside struct {
	// Socket is where the proxy listens.
	Socket string
	// Private and Plain are repositories: by https with submodules and LFS, and by http.
	Private, Plain string
	// Registry is the prefix of images. The others are folders of credentials.
	Registry, Docker, Git, Hawkbit, CA string
}

// insideVariable has the above in the process that runs in the namespace.
const insideVariable = "AJOUR_TEST_INSIDE"

// TestBehindAProxy builds where the only way out is a proxy with a login: from private and plain
// repositories, with a submodule and files in LFS, to an OCI registry and to hawkBit. It runs itself
// in a network namespace for that.
func TestBehindAProxy(t *testing.T) {
	t.Parallel()
	if data := os.Getenv(insideVariable); data != "" {
		var o outside
		if err := json.Unmarshal([]byte(data), &o); err != nil {
			t.Fatal(err)
		}
		buildInside(t, o)
		return
	}
	proxy := servers.StartProxy(t)
	data, err := json.Marshal(startOutside(t, proxy))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBehindAProxy$", "-test.v")
	cmd.Env = append(os.Environ(), insideVariable+"="+string(data))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestBehindAProxy")) {
		t.Errorf("%v\n%s", err, out)
	}
	asked := map[string]bool{}
	for _, a := range proxy.Asked() {
		method, address, _ := strings.Cut(a, " ")
		host, _, _ := strings.Cut(address, ":")
		asked[method+" "+host] = true
	}
	want := []string{"CONNECT elsewhere.test", "CONNECT outside.test", "GET outside.test", "POST outside.test"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(asked))); diff != "" {
		t.Error(diff)
	}
}

// startOutside starts the servers.
func startOutside(t *testing.T, proxy *servers.Proxy) outside {
	t.Helper()
	// at is a URL as it is outside.
	at := func(base, path string) string {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		return u.Scheme + "://" + net.JoinHostPort(servers.Outside, u.Port()) + path
	}
	s, library := gittest.Start(t)
	commit, err := library.Commit(t.Context(), "main", fstest.MapFS{"lib.c": {Data: []byte("lib "), Mode: 0o644}})
	if err != nil {
		t.Fatal(err)
	}
	firmware, err := s.Create(t.Context(), "firmware")
	if err != nil {
		t.Fatal(err)
	}
	lfs := &gittest.LFS{Handler: s}
	pointer := lfs.Add([]byte("large "))
	private := servers.StartTLS(t, lfs, "ci", "planted-git")
	lfs.Href = at(private.URL, "")
	if _, err := firmware.Commit(t.Context(), "main", fstest.MapFS{
		".gitattributes": {Data: []byte("*.bin filter=lfs diff=lfs merge=lfs -text\n"), Mode: 0o644},
		"blob.bin":       {Data: pointer, Mode: 0o644},
		".gitmodules": {
			Data: []byte("[submodule \"library\"]\n\tpath = library\n\turl = .." + library.Path() + "\n"),
			Mode: 0o644,
		},
	}); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"update-index", "--add", "--cacheinfo", "160000," + commit + ",library"},
		{"commit", "--quiet", "--message", "Add submodule"},
		{"push", "--quiet", "origin", "main"},
	} {
		if _, err := firmware.Git(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	plain := httptest.NewServer(s)
	t.Cleanup(plain.Close)
	hawkbit := httptest.NewServer(hawkbittest.New(hawkbittest.Options{User: "ci", Password: "planted-hawkbit"}))
	t.Cleanup(hawkbit.Close)
	prepare := devtest.Hawkbit{URL: hawkbit.URL, User: "ci", Password: "planted-hawkbit"}
	if err := prepare.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	registry := servers.StartRegistry(t, servers.RegistryOptions{User: "ci", Password: "planted-registry", TLS: true})
	host := strings.TrimPrefix(at("https://"+registry.Host, ""), "https://")
	ca, err := os.ReadFile(registry.CA)
	if err != nil {
		t.Fatal(err)
	}
	login := base64.StdEncoding.EncodeToString([]byte("ci:planted-registry"))
	source := at(private.URL, firmware.Path())
	return outside{
		Socket: proxy.Socket, Private: source, Plain: at(plain.URL, library.Path()), Registry: host + "/acme/",
		Docker: credentials(t, map[string]string{"config.json": fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, login)}),
		Git: credentials(t, map[string]string{
			".git-credentials": strings.Replace(source, "https://", "https://ci:planted-git@", 1) + "\n",
		}),
		Hawkbit: credentials(t, map[string]string{
			"url": at(hawkbit.URL, ""), "user": "ci", "password": "planted-hawkbit",
		}),
		CA: credentials(t, map[string]string{"ca.crt": string(ca) + string(private.CA)}),
	}
}

// buildInside runs in the namespace.
func buildInside(t *testing.T, o outside) {
	t.Helper()
	if err := raiseLoopback(); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go passOn(ln, o.Socket)
	proxy := servers.ProxyURL(ln.Addr().String())
	w := startWith(
		t, []string{"DOCKER_CONFIG=" + o.Docker, "HTTPS_PROXY=" + proxy, "HTTP_PROXY=" + proxy, "NO_PROXY=example.org"},
		"--registry="+o.Registry, "--git-credentials="+o.Git, "--hawkbit="+o.Hawkbit, "--trusted-ca="+o.CA,
	)
	for app, build := range map[string]struct{ uri, script string }{
		"private": {o.Private, "test \"`cat library/lib.c blob.bin`\" = 'lib large ' && " + makeFirmware},
		"plain":   {o.Plain, `test "$HTTPS_PROXY $http_proxy $no_proxy" = "$0 $0 example.org" && ` + makeFirmware},
	} {
		w.createApp(app, devtest.HawkbitSpec(build.uri, app, ":latest", "shell:1", []string{"-c", build.script, proxy}))
		b := w.await(devtest.AppPath(app), w.trigger("/apps/"+app)).Status.Build
		if b.Reason != "Succeeded" || b.Artifact == nil || b.Artifact.Hawkbit == nil || b.Artifact.Digest == "" {
			t.Errorf("%s: %+v", app, b)
		}
		var republished struct{ ID string }
		if err := w.Call(
			t.Context(),
			http.MethodPost,
			devtest.Builds+"/builds/"+b.Build+"/publish",
			nil,
			&republished,
		); err != nil {
			t.Fatal(err)
		}
		if b := w.await(devtest.AppPath(app), republished.ID).Status.Build; b.Reason != "Succeeded" {
			t.Errorf("%s, from the registry to hawkBit: %+v", app, b)
		}
	}
	w.createApp("elsewhere", shell("https://elsewhere.test/fw.git", makeFirmware))
	b := w.await(devtest.AppPath("elsewhere"), w.trigger("/apps/elsewhere")).Status.Build
	const want = "Source https://elsewhere.test/fw.git cannot be used: " +
		"the proxy of this installation answers 403 Forbidden for elsewhere.test:443"
	if b.Reason != "InvalidBuildSpec" || b.Message != want {
		t.Errorf("%+v", b)
	}
}

// raiseLoopback makes 127.0.0.1 work in a new network namespace.
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// passOn joins the connections to a listener with a socket of the file system.
func passOn(ln net.Listener, socket string) {
	for {
		client, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer client.Close()
			server, err := net.Dial("unix", socket)
			if err != nil {
				return
			}
			defer server.Close()
			servers.Join(client, client, server)
		}()
	}
}
