// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/git/gittest"
)

// withSubmodule makes a repository whose folder lib is a different one, at its first of
// two commits, which itself has one below.
func withSubmodule(t *testing.T, url string) string {
	t.Helper()
	s, err := gittest.New(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	create := func(name string) *gittest.Repo {
		repo, err := s.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return repo
	}
	commit := func(repo *gittest.Repo, content string) string {
		sha, err := repo.Commit(t.Context(), "main", fstest.MapFS{"file": {Data: []byte(content), Mode: 0o644}})
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	add := func(repo *gittest.Repo, folder, url, sha string) {
		config := "[submodule \"" + folder + "\"]\n\tpath = " + folder + "\n\turl = " + url + "\n"
		for _, args := range [][]string{
			{"update-index", "--add", "--cacheinfo", "160000," + sha + "," + folder},
			{"add", ".gitmodules"},
			{"commit", "--quiet", "--message", "Add submodule"},
			{"push", "--quiet", "origin", "main"},
		} {
			if args[0] == "add" {
				if err := os.WriteFile(filepath.Join(repo.Folder(), ".gitmodules"), []byte(config), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := repo.Git(t.Context(), args...); err != nil {
				t.Fatal(err)
			}
		}
	}
	inner, lib, app := create("inner"), create("lib"), create("app")
	innerCommit := commit(inner, "inner")
	commit(inner, "newer inner")
	commit(lib, "lib")
	add(lib, "inner", "../inner.git", innerCommit)
	first, err := lib.Git(t.Context(), "rev-parse", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	commit(lib, "newer lib")
	commit(app, "app")
	if url == "" {
		url = srv.URL + lib.Path()
	}
	add(app, "lib", url, first)
	return srv.URL + app.Path()
}

func TestSubmodulesAreFetchedAtTheirCommits(t *testing.T) {
	t.Parallel()
	_, dir, err := fetch(t, withSubmodule(t, ""), "main", "lib")
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"file": "app", "lib/file": "lib", "lib/inner/file": "inner"} {
		if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(got) != want {
			t.Errorf("%s: %q %v", file, got, err)
		}
	}
}

// TestASubmoduleIsFetchedFromNowhereElse: a repository names the place of its
// submodules, which is as little to be trusted as it is.
func TestASubmoduleIsFetchedFromNowhereElse(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"a local path": "/etc", "a file": "file:///etc", "a command": "ext::touch /tmp/planted", "an option": "-u./payload", "a host": "ssh://-oProxyCommand=touch%20planted/x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, dir, err := fetch(t, withSubmodule(t, url), "main", ".")
			var step *build.StepError
			if !errors.As(err, &step) {
				t.Errorf("got %v", err)
			}
			if entries, err := os.ReadDir(filepath.Join(dir, "lib")); err == nil && len(entries) > 0 {
				t.Errorf("it was fetched: %v", entries)
			}
		})
	}
}

// TestACommitThatIsNotGivenAwayComesWithItsHistory, from a server of protocol 0, though
// the repository asks for a shallow submodule.
func TestACommitThatIsNotGivenAwayComesWithItsHistory(t *testing.T) {
	t.Parallel()
	s, err := gittest.New(
		t.Context(), t.TempDir(), "uploadpack.allowReachableSHA1InWant=false", "uploadpack.allowFilter=false",
	)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Git-Protocol")
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	var repos []*gittest.Repo
	for _, name := range []string{"lib", "app"} {
		repo, err := s.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		repos = append(repos, repo)
	}
	lib, app := repos[0], repos[1]
	first, err := lib.Commit(t.Context(), "main", fstest.MapFS{"file": {Data: []byte("first"), Mode: 0o644}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lib.Commit(t.Context(), "main", fstest.MapFS{"file": {Data: []byte("second"), Mode: 0o644}}); err != nil {
		t.Fatal(err)
	}
	config := "[submodule \"lib\"]\n\tpath = lib\n\turl = ../lib.git\n\tshallow = true\n"
	if _, err := app.Commit(
		t.Context(), "main", fstest.MapFS{".gitmodules": {Data: []byte(config), Mode: 0o644}},
	); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{
			"update-index",
			"--add",
			"--cacheinfo",
			"160000," + first + ",lib",
		}, {"commit", "--quiet", "--message", "Add submodule"}, {"push", "--quiet", "origin", "main"},
	} {
		if _, err := app.Git(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	_, dir, err := fetch(t, srv.URL+app.Path(), "main", ".")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "lib", "file")); err != nil || string(got) != "first" {
		t.Errorf("%q %v", got, err)
	}
	if r, _, err := fetch(t, srv.URL+lib.Path(), first, "."); err != nil || r.Commit != first {
		t.Errorf("%+v %v", r, err)
	}
}

// submodule makes a repository with an entry for the folder lib, and these lines of
// .gitmodules.
func submodule(t *testing.T, config string) string {
	t.Helper()
	s, repo := gittest.Start(t)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	commit, err := repo.Commit(t.Context(), "main", fstest.MapFS{".gitmodules": {Data: []byte(config), Mode: 0o644}})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"update-index", "--add", "--cacheinfo", "160000," + commit + ",lib"},
		{"commit", "--quiet", "--message", "Add submodule"},
		{"push", "--quiet", "origin", "main"},
	} {
		if _, err := repo.Git(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	return srv.URL + repo.Path()
}

// TestASubmoduleThatCannotBeHad fails the build that "git clone --recursive" fails, once and
// with the reason, and no other.
func TestASubmoduleThatCannotBeHad(t *testing.T) {
	t.Parallel()
	const lib = "[submodule \"lib\"]\n\tpath = lib\n"
	for name, tt := range map[string]struct {
		config string
		want   build.Reason
		says   string
	}{
		"is optional":                {lib + "\turl = http://127.0.0.1:1/lib.git\n\tupdate = none\n", "", ""},
		"has no URL":                 {lib, build.ReasonSourceNotFound, "No url found"},
		"has an entry alone":         {"# nothing\n", build.ReasonSourceNotFound, "No url found"},
		"is at a scheme we refuse":   {lib + "\turl = git://127.0.0.1/lib.git\n", build.ReasonInvalidBuildSpec, "transport 'git' not allowed"},
		"is at a place that is none": {lib + "\turl = ../../../../../../../../lib.git\n", build.ReasonSourceNotFound, ""},
		"runs a command":             {lib + "\turl = ../fw.git\n\tupdate = !touch /tmp/planted\n", build.ReasonSourceUnavailable, "update"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			_, _, err := fetch(t, submodule(t, tt.config), "main", ".")
			var step *build.StepError
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.As(err, &step) || step.Reason != tt.want || !strings.Contains(step.Message, tt.says) {
				t.Errorf("%s: %v", time.Since(begin), err)
			}
		})
	}
}
