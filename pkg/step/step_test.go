// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/drogue-iot/ajour/pkg/git/gittest"
	"github.com/drogue-iot/ajour/pkg/step/fetch"
	"github.com/drogue-iot/ajour/pkg/step/publish"
)

// TestMain is the step fetch as well, for a test that runs it elsewhere.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "fetch" {
		os.Exit(fetch.Main(context.Background(), nil, os.Args[2:], os.Stderr))
	}
	os.Exit(m.Run())
}

// results reads what a step left.
func results(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name()] = string(data)
	}
	return got
}

func TestFetch(t *testing.T) {
	t.Parallel()
	s, repo := gittest.Start(t)
	commit, err := repo.Commit(t.Context(), "main", fstest.MapFS{"file": {Data: []byte("x"), Mode: 0o644}})
	if err != nil {
		t.Fatal(err)
	}
	stamp, err := repo.Git(t.Context(), "log", "-1", "--format=%ct")
	if err != nil {
		t.Fatal(err)
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(seconds, 0).UTC().Format(time.RFC3339)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	url := srv.URL + repo.Path()
	for revision, want := range map[string]map[string]string{
		"main": {
			"commit":            commit,
			"version":           commit[:7],
			"commit-time":       at,
			"CHAINS-GIT_URL":    url,
			"CHAINS-GIT_COMMIT": commit,
		},
		"none": {"reason": "RevisionNotFound", "message": `Revision "none" is not a branch, tag or commit of ` + url},
	} {
		dir, source := t.TempDir(), filepath.Join(t.TempDir(), "source")
		var stderr bytes.Buffer
		code := fetch.Main(
			t.Context(),
			nil,
			[]string{
				"--schemes=http",
				"--addresses=127.0.0.0/8",
				"--uri=" + url,
				"--revision=" + revision,
				"--output=" + source,
				"--results=" + dir + "/commit",
			},
			&stderr,
		)
		if diff := cmp.Diff(want, results(t, dir)); diff != "" || (code == 0) != (revision == "main") {
			t.Error(code, diff, stderr.String())
		}
	}
}

// TestTheSourceIsOpenToEveryUser: a builder of any user describes the commit, writes into
// every folder, and can commit what it wrote.
func TestTheSourceIsOpenToEveryUser(t *testing.T) {
	t.Parallel()
	s, repo := gittest.Start(t)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	commit, err := repo.Commit(t.Context(), "main", fstest.MapFS{"a/b/main.c": {Data: []byte("x"), Mode: 0o644}})
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for path := root; path != filepath.Clean(os.TempDir()) && path != "/"; path = filepath.Dir(path) {
		_ = os.Chmod(path, 0o755) // the user of the builder has to get here
	}
	source, home := filepath.Join(root, "source"), filepath.Join(root, "home")
	if err := errors.Join(os.Mkdir(home, 0o700), os.Chmod(home, 0o777)); err != nil {
		t.Fatal(err)
	}
	// A process of its own, whose mask for files is its own, too.
	if out, err := exec.CommandContext(
		t.Context(), os.Args[0], "fetch", "--schemes=http", "--addresses=127.0.0.0/8", "--uri="+srv.URL+repo.Path(),
		"--revision="+commit[:9], "--output="+source, "--results="+filepath.Join(t.TempDir(), "commit"),
	).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", `git describe --always --dirty
for folder in . a a/b; do echo made > "$folder/made"; done
echo y >> a/b/main.c
git add --all
git -c user.name=Ajour -c user.email=ajour@example.org commit --quiet --message Change
git status --porcelain`)
	cmd.Dir = source
	cmd.Env = []string{ // of the StepAction build-firmware
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory",
		"GIT_CONFIG_VALUE_0=*",
	}
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1234567, Gid: 1234567}}
	}
	out, err := cmd.CombinedOutput()
	lines := strings.Fields(string(out))
	if err != nil || len(lines) != 1 || lines[0] != commit[:7] {
		t.Errorf("%v %s", err, out)
	}
}

// TestADiskThatIsFullIsNoFaultOfTheServer fetches to a small disk of its own.
func TestADiskThatIsFullIsNoFaultOfTheServer(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 1<<20)
	_, _ = rand.Read(noise) // never fails
	for name, tt := range map[string]struct {
		content []byte
		says    string
	}{
		"for what is sent":     {noise, "write error: No space left on device"},
		"for what is unpacked": {bytes.Repeat([]byte("x\n"), 5<<20), "unable to write file large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, repo := gittest.Start(t)
			if _, err := repo.Commit(t.Context(), "main", fstest.MapFS{"large": {Data: tt.content, Mode: 0o644}}); err != nil {
				t.Fatal(err)
			}
			srv := httptest.NewServer(s)
			t.Cleanup(srv.Close)
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			dir, disk, url := t.TempDir(), t.TempDir(), srv.URL+repo.Path()
			cmd := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
				`mount -t tmpfs -o size=600k tmpfs "$0" && exec "$@"`, disk, self, "fetch",
				"--schemes=http", "--addresses=127.0.0.0/8", "--uri="+url, "--output="+disk+"/source", "--results="+dir+"/commit")
			out, _ := cmd.CombinedOutput() // the results say how it ended
			want := map[string]string{
				"reason":  "InternalError",
				"message": "The source of " + url + " cannot be written, the disk of the build may be full: " + tt.says,
			}
			got := results(t, dir)
			got["message"] = strings.ReplaceAll(got["message"], "'", "") // git quotes the file or not
			if diff := cmp.Diff(want, got); diff != "" || strings.Contains(string(out), "trying again") {
				t.Error(diff, string(out))
			}
		})
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(srv.Close)
	image := strings.TrimPrefix(srv.URL, "http://") + "/a:1"
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "fw"), []byte("firmware"), 0o600); err != nil {
		t.Fatal(err)
	}
	call := func(artifact string) (int, map[string]string) {
		dir := t.TempDir()
		code := publish.Main(t.Context(), []string{
			"oci",
			"--image=" + image,
			"--root=" + root,
			"--artifact=" + artifact,
			"--version=v",
			"--plain-http=true",
			"--results=" + dir + "/size",
		}, io.Discard)
		return code, results(t, dir)
	}
	code, got := call("fw")
	digest := got["image-digest"]
	want := map[string]string{
		"image-url": image, "IMAGE_URL": image, "image-digest": digest, "IMAGE_DIGEST": digest, "size": "8",
		"checksum": fmt.Sprintf("%x", sha256.Sum256([]byte("firmware"))), "warning": "",
	}
	if diff := cmp.Diff(want, got); diff != "" || code != 0 || !strings.HasPrefix(digest, "sha256:") {
		t.Error(code, diff)
	}
	if code, got = call(
		"none",
	); code != 1 || got["reason"] != "ArtifactNotFound" || got["message"] == "" ||
		len(got) != 2 {
		t.Error(code, got)
	}
}

func TestWrongCallsAreUsageErrors(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"--nonsense"}, {"--results=/x/y", "extra"}, {"--uri=x"}} {
		if code := fetch.Main(t.Context(), nil, args, io.Discard); code != 2 {
			t.Errorf("%v: exit %d", args, code)
		}
	}
}
