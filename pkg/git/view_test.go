// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/git"
	"github.com/drogue-iot/ajour/pkg/git/gittest"
)

// inFolder is what a builder gets from git in a folder.
func inFolder(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "fails: " + string(out)
	}
	return strings.TrimSpace(string(out))
}

// view is what a build can depend on.
func view(t *testing.T, dir string) map[string]string {
	t.Helper()
	v := map[string]string{}
	for _, question := range []string{
		"describe --tags --always --dirty", "describe", "rev-list --count HEAD", "for-each-ref", "rev-parse --short HEAD",
		"log --format=%H%d", "status --porcelain", "branch --all", "config --get-regexp remote", "fsck --strict",
	} {
		v[question] = inFolder(t, dir, strings.Fields(question)...)
	}
	return v
}

// TestACommitLooksTheSameByWhateverName: it would give different firmware otherwise, since
// people take versions from git.
func TestACommitLooksTheSameByWhateverName(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]struct {
		settings []string
		protocol string
	}{
		"a server that gives away commits": {nil, ""},
		"a server that gives away refs alone": {
			[]string{"uploadpack.allowReachableSHA1InWant=false", "uploadpack.allowFilter=false"}, "0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := gittest.New(t.Context(), t.TempDir(), server.settings...)
			if err != nil {
				t.Fatal(err)
			}
			repo, err := s.Create(t.Context(), "fw")
			if err != nil {
				t.Fatal(err)
			}
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if server.protocol != "" {
					r.Header.Del("Git-Protocol")
				}
				s.ServeHTTP(w, r)
			}))
			t.Cleanup(srv.Close)
			files := func(content string) fstest.MapFS {
				return fstest.MapFS{"sub/main.c": {Data: []byte(content), Mode: 0o644}}
			}
			var commits []string
			for _, content := range []string{"zero", "one", "two", "three"} {
				commit, err := repo.Commit(t.Context(), "main", files(content))
				if err != nil {
					t.Fatal(err)
				}
				commits = append(commits, commit)
				for _, args := range map[string][][]string{
					"zero": {{"tag", "v0"}},
					"one":  {{"tag", "--annotate", "--message", "v1", "v1"}, {"tag", "light"}, {"branch", "old"}},
				}[content] {
					if _, err := repo.Git(t.Context(), args...); err != nil {
						t.Fatal(err)
					}
				}
			}
			if _, err := repo.Git(t.Context(), "push", "--quiet", "origin", "--all"); err != nil {
				t.Fatal(err)
			}
			// A branch that is called like the full name of a different one does not hide it.
			if _, err := repo.Git(
				t.Context(), "push", "--quiet", "origin", "--tags", "HEAD:refs/heads/refs/heads/old",
			); err != nil {
				t.Fatal(err)
			}
			for commit, names := range map[string][]string{
				commits[1]: {"old", "v1", "light", "refs/tags/v1", "refs/heads/old", commits[1][:7], strings.ToUpper(commits[1])},
				commits[2]: {commits[2][:9], strings.ToUpper(commits[2][:9])}, // no ref points to it
				commits[3]: {"", "main", commits[3][:7]},
			} {
				_, dir, err := fetch(t, srv.URL+repo.Path(), commit, ".")
				if err != nil {
					t.Fatal(err)
				}
				want := view(t, dir)
				for _, name := range names {
					got, dir, err := fetch(t, srv.URL+repo.Path(), name, ".")
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if diff := cmp.Diff(want, view(t, dir)); diff != "" || got.Commit != commit {
						t.Errorf("%q is not %s: %s", name, commit, diff)
					}
				}
				if describe := want["describe"]; commit == commits[1] && describe != "v1" {
					t.Errorf("git describe: %s", describe)
				}
				if want["rev-list --count HEAD"] != "1" || want["status --porcelain"] != "" {
					t.Error(want)
				}
			}
		})
	}
}

// TestABuildGetsTheHistoryThatItAsksFor, and no files of it unless it asks for all.
func TestABuildGetsTheHistoryThatItAsksFor(t *testing.T) {
	t.Parallel()
	s, repo := gittest.Start(t)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	var first, last string
	for _, content := range []string{"zero", "one", "two"} {
		commit, err := repo.Commit(t.Context(), "main", fstest.MapFS{"file": {Data: []byte(content), Mode: 0o644}})
		if err != nil {
			t.Fatal(err)
		}
		if last = commit; first == "" {
			first = commit
			for _, args := range [][]string{{"tag", "v0"}, {"push", "--quiet", "origin", "v0"}} {
				if _, err := repo.Git(t.Context(), args...); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	short := last[:7]
	for history, want := range map[git.History][]string{
		"":              {"fails", "1", "fails"},
		git.HistoryTags: {"v0-2-g" + short, "3", "fails"},
		git.HistoryFull: {"v0-2-g" + short, "3", "zero"},
	} {
		for _, revision := range []string{"main", last, short} {
			dir := filepath.Join(t.TempDir(), "source")
			if _, err := git.Fetch(t.Context(), git.Options{
				URI: srv.URL + repo.Path(), Revision: revision, History: history, Dir: dir, Policy: anywhere, Log: t.Output(),
			}); err != nil {
				t.Fatal(err)
			}
			got := []string{
				inFolder(t, dir, "describe", "--tags"), inFolder(t, dir, "rev-list", "--count", "HEAD"),
				// Without the network, as in a builder.
				inFolder(t, dir, "-c", "protocol.allow=never", "show", first+":file"),
			}
			for i := range got {
				got[i], _, _ = strings.Cut(got[i], ":")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q of %s: %s", history, revision, diff)
			}
		}
	}
}
