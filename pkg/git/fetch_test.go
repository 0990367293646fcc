// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git_test

import (
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/git"
	"github.com/drogue-iot/ajour/pkg/git/egress"
	"github.com/drogue-iot/ajour/pkg/git/gittest"
)

// repository is a served repository with two commits, of which the first has
// the annotated tag v1 and is what the branch old points to.
type repository struct {
	url           string
	first, second string
}

func serve(t *testing.T, wrap func(http.Handler) http.Handler) repository {
	t.Helper()
	s, repo := gittest.Start(t)
	files := func(content string) fstest.MapFS {
		return fstest.MapFS{
			"boards/a/main.c": {Data: []byte(content), Mode: 0o644},
			"out":             {Data: []byte("/etc"), Mode: os.ModeSymlink},
			".gitattributes":  {Data: []byte("*.c filter=evil\n"), Mode: 0o644},
		}
	}
	var r repository
	var err error
	if r.first, err = repo.Commit(t.Context(), "main", files("first")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"tag", "--annotate", "--message", "v1", "v1"}, {"push", "--quiet", "origin", "v1", "main:old", "main:feature/x"},
	} {
		if _, err := repo.Git(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	if r.second, err = repo.Commit(t.Context(), "main", files("second")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(t.Context(), "void"); err != nil {
		t.Fatal(err)
	}
	var h http.Handler = s
	if wrap != nil {
		h = wrap(h)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	r.url = srv.URL + repo.Path()
	return r
}

// anywhere allows all of what tests use.
var anywhere = egress.Policy{Schemes: []string{"http", "https"}, Addresses: []string{"any"}}

func fetch(t *testing.T, uri, rev, path string) (git.Result, string, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "source")
	if err := os.MkdirAll(filepath.Join(dir, "left-over"), 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := git.Fetch(
		t.Context(),
		git.Options{URI: uri, Revision: rev, Path: path, Dir: dir, Policy: anywhere, Log: t.Output()},
	)
	if err == nil {
		if _, err := os.Stat(filepath.Join(dir, "left-over")); err == nil {
			t.Error("what was in the folder is still there")
		}
	}
	return r, dir, err
}

func TestFetchFindsEveryKindOfRevision(t *testing.T) {
	t.Parallel()
	repo := serve(t, nil)
	for rev, want := range map[string]string{
		"": repo.second, "HEAD": repo.second, "main": repo.second, "refs/heads/main": repo.second, "old": repo.first, "feature/x": repo.first,
		"v1": repo.first, "refs/tags/v1": repo.first, repo.first: repo.first, repo.second: repo.second,
		repo.first[:7]: repo.first, repo.second[:12]: repo.second,
	} {
		t.Run("revision "+rev, func(t *testing.T) {
			t.Parallel()
			got, dir, err := fetch(t, repo.url, rev, "boards/a")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{want, want[:7]}, []string{got.Commit, got.Version}); diff != "" || got.Time.IsZero() {
				t.Error(diff, got.Time)
			}
			content, err := os.ReadFile(filepath.Join(dir, "boards/a/main.c"))
			if wanted := map[string]string{repo.first: "first", repo.second: "second"}[want]; err != nil ||
				string(content) != wanted {
				t.Errorf("got %q, %v", content, err)
			}
		})
	}
}

func TestFetchExplainsFailures(t *testing.T) {
	t.Parallel()
	repo := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasPrefix(r.URL.Path, "/private"):
				w.Header().Set("WWW-Authenticate", "Basic")
				w.WriteHeader(http.StatusUnauthorized)
			case strings.HasPrefix(r.URL.Path, "/forbidden"):
				w.WriteHeader(http.StatusForbidden)
			default:
				next.ServeHTTP(w, r)
			}
		})
	})
	base := strings.TrimSuffix(repo.url, "/fw.git")
	closed := gittest.Away(t)
	away := "could not be reached: dial tcp " + closed + ": connect: connection refused"
	for _, tt := range []struct {
		name, uri, rev, path string
		want                 build.Reason
		says                 string
	}{
		{"an unknown branch", repo.url, "nosuch", ".", build.ReasonRevisionNotFound, ""},
		{"an unknown full commit", repo.url, strings.Repeat("a", 40), ".", build.ReasonRevisionNotFound, ""},
		{"a long commit of another kind", repo.url, strings.Repeat("a", 64), ".", build.ReasonRevisionNotFound, ""},
		{"an unknown short commit", repo.url, "abcd123", ".", build.ReasonRevisionNotFound, ""},
		{"an unknown repository", base + "/nosuch.git", "", ".", build.ReasonSourceNotFound, ""},
		{"a repository without a commit", base + "/void.git", "", ".", build.ReasonRevisionNotFound, ""},
		{"a repository that wants credentials", base + "/private.git", "", ".", build.ReasonSourceAuthFailed, ""},
		{"a repository that refuses", base + "/forbidden.git", "", ".", build.ReasonSourceAuthFailed, ""},
		{"a server that is away", "http://" + closed + "/fw.git", "", ".", build.ReasonSourceUnavailable, away},
		{
			"a server that is away, by HTTPS",
			"https://" + closed + "/fw.git",
			"",
			".",
			build.ReasonSourceUnavailable,
			away,
		},
		{
			"a full commit of a server that is away",
			"http://" + closed + "/fw.git",
			strings.Repeat("a", 40),
			".",
			build.ReasonSourceUnavailable,
			away,
		},
		{"a host that does not exist", "https://nosuch.test/fw.git", "", ".", build.ReasonSourceUnavailable, "no such host"},
		{"a folder that does not exist", repo.url, "main", "boards/b", build.ReasonSourceNotFound, ""},
		{"a folder that is a file", repo.url, "main", "boards/a/main.c", build.ReasonSourceNotFound, ""},
		{"a folder that leads out", repo.url, "main", "out", build.ReasonSourceNotFound, ""},
		{"a transport that runs commands", "ext::touch /tmp/x", "", ".", build.ReasonInvalidBuildSpec, ""},
		{"a local repository", "file:///etc", "", ".", build.ReasonInvalidBuildSpec, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := fetch(t, tt.uri, tt.rev, tt.path)
			var step *build.StepError
			if !errors.As(err, &step) || step.Reason != tt.want || step.Message == "" ||
				!strings.Contains(step.Message, tt.says) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestFetchRetriesWhenTheServerStumbles(t *testing.T) {
	t.Parallel()
	failures := make(chan struct{}, 2)
	failures <- struct{}{}
	failures <- struct{}{}
	repo := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-failures:
				w.WriteHeader(http.StatusServiceUnavailable)
			default:
				next.ServeHTTP(w, r)
			}
		})
	})
	if _, _, err := fetch(t, repo.url, "main", "."); err != nil {
		t.Error(err)
	}
}

// TestRepositoriesOfOtherKinds: with objects that are named by SHA-256, and with a tree
// that old tools wrote, which git takes for dangerous when it fetches.
func TestRepositoriesOfOtherKinds(t *testing.T) {
	t.Parallel()
	s, repo := gittest.Start(t)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	run := func(args ...string) string {
		out, err := repo.Git(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if _, err := repo.Commit(
		t.Context(), "main", fstest.MapFS{"lib/main.c": {Data: []byte("x"), Mode: 0o644}},
	); err != nil {
		t.Fatal(err)
	}
	lib, err := hex.DecodeString(run("rev-parse", "HEAD:lib"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tree")
	if err := os.WriteFile(file, append([]byte("040000 lib\x00"), lib...), 0o600); err != nil { // 40000 today
		t.Fatal(err)
	}
	padded := run("commit-tree", "-m", "Old", run("hash-object", "-t", "tree", "--literally", "-w", file))
	run("push", "--quiet", "origin", padded+":refs/heads/padded")
	// A time zone, and the place of a date, that nobody writes any more.
	odd := func(author string) string {
		text := "tree " + run(
			"rev-parse",
			"HEAD^{tree}",
		) + "\nauthor " + author + "\ncommitter Ajour <ajour@example.org> 1 +0000\n\nOld\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return run("hash-object", "-t", "commit", "--literally", "-w", file)
	}
	zone, date := odd("Ajour <ajour@example.org> 1 +051800"), odd("Ajour <ajour@example.org>1 +0000")
	nobody := odd("Ajour 1 +0000")
	run("push", "--quiet", "origin", zone+":refs/heads/zone", date+":refs/heads/date", nobody+":refs/heads/nobody")
	// Behind a newer commit, where no ref points to them, and beside a tag of a tree.
	bury := func(commit string) string {
		child := run("commit-tree", "-m", "New", "-p", commit, "HEAD^{tree}")
		run("push", "--quiet", "origin", child+":refs/heads/new-"+commit[:7])
		return commit
	}
	deep := bury(run("commit-tree", "-m", "Deep", "HEAD^{tree}"))
	deepPadded := bury(run("commit-tree", "-m", "Deep", padded+"^{tree}"))
	deepZone, deepDate := bury(odd("Deep <ajour@example.org> 1 +051800")), bury(odd("Deep <ajour@example.org>1 +0000"))
	deepNobody := bury(odd("Deep 1 +0000"))
	run("push", "--quiet", "origin", "HEAD^{tree}:refs/tags/of-a-tree")
	bare, work := filepath.Join(repo.Folder(), "..", "sha256.git"), t.TempDir()
	run("init", "--quiet", "--bare", "--object-format=sha256", "--initial-branch=main", bare)
	run("init", "--quiet", "--object-format=sha256", "--initial-branch=main", work)
	run("-C", work, "commit", "--quiet", "--allow-empty", "--message", "First")
	run("-C", work, "push", "--quiet", bare, "main")
	long := run("-C", work, "rev-parse", "HEAD")
	for _, tt := range []struct{ name, path, rev, want string }{
		{"an old tree", repo.Path(), "padded", padded},
		{"a time zone of six digits", repo.Path(), "zone", zone},
		{"a date without a blank", repo.Path(), "date", date},
		{"nobody's address", repo.Path(), "nobody", nobody},
		{"a short commit", repo.Path(), deep[:12], deep},
		{"an old tree by a short commit", repo.Path(), deepPadded[:12], deepPadded},
		{"a time zone of six digits by a short commit", repo.Path(), deepZone[:12], deepZone},
		{"a date without a blank by a short commit", repo.Path(), deepDate[:12], deepDate},
		{"nobody's address by a short commit", repo.Path(), deepNobody[:12], deepNobody},
		{"SHA-256", "/sha256.git", "main", long},
		{"a commit in SHA-256", "/sha256.git", long, long},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, _, err := fetch(t, srv.URL+tt.path, tt.rev, "."); err != nil || got.Commit != tt.want {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
}
