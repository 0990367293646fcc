// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package gittest makes repositories with the real git, and serves them over
// HTTP with its own http-backend. It is for tests and for the demo.
package gittest

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Server serves all repositories below a folder at "/NAME.git".
type Server struct {
	root    string
	backend http.Handler
}

// New returns a server of the repositories below root, with settings for git, each
// KEY=VALUE. Without any it gives away commits that no ref points to, and parts of them.
func New(ctx context.Context, root string, settings ...string) (*Server, error) {
	out, err := exec.CommandContext(ctx, "git", "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("find git: %w", err)
	}
	settings = append(
		[]string{"safe.directory=*", "uploadpack.allowFilter=true", "uploadpack.allowReachableSHA1InWant=true"},
		settings...)
	env := []string{
		"GIT_PROJECT_ROOT=" + root,
		"GIT_HTTP_EXPORT_ALL=1",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",
		fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(settings)),
	}
	for i, setting := range settings {
		key, value, _ := strings.Cut(setting, "=")
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, value))
	}
	return &Server{root: root, backend: &cgi.Handler{
		Path: filepath.Join(
			strings.TrimSpace(string(out)),
			"git-http-backend",
		),
		Dir:        root,
		Env:        env,
		InheritEnv: []string{"PATH"},
		Stderr:     io.Discard,
	}}, nil
}

// Start returns a server, for the time of a test, with one empty repository.
func Start(t testing.TB) (*Server, *Repo) {
	t.Helper()
	s, err := New(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	repo, err := s.Create(t.Context(), "fw")
	if err != nil {
		t.Fatal(err)
	}
	return s, repo
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.backend.ServeHTTP(w, r) }

// Repo is a bare repository of a server with a work tree beside it.
type Repo struct {
	name string
	work string
	bare string
}

// Create makes an empty repository.
func (s *Server) Create(ctx context.Context, name string) (*Repo, error) {
	r := &Repo{name: name, work: filepath.Join(s.root, name+".work"), bare: filepath.Join(s.root, name+".git")}
	if _, err := run(ctx, s.root, "init", "--quiet", "--bare", "--initial-branch=main", r.bare); err != nil {
		return nil, err
	}
	if _, err := run(ctx, s.root, "init", "--quiet", "--initial-branch=main", r.work); err != nil {
		return nil, err
	}
	_, err := r.Git(ctx, "remote", "add", "origin", r.bare)
	return r, err
}

// Path returns the path of the repository's URL.
func (r *Repo) Path() string { return "/" + r.name + ".git" }

// Folder returns the folder of the work tree.
func (r *Repo) Folder() string { return r.work }

// Git runs a git command in the work tree and returns its trimmed output.
func (r *Repo) Git(ctx context.Context, args ...string) (string, error) {
	return run(ctx, r.work, args...)
}

// Commit replaces all files by those of the file system, commits and pushes
// everything to the branch, and returns the commit.
func (r *Repo) Commit(ctx context.Context, branch string, files fs.FS) (string, error) {
	entries, err := os.ReadDir(r.work)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.Name() == ".git" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(r.work, e.Name())); err != nil {
			return "", err
		}
	}
	if err := os.CopyFS(r.work, files); err != nil {
		return "", fmt.Errorf("copy files: %w", err)
	}
	for _, args := range [][]string{
		{"checkout", "--quiet", "-B", branch},
		{"add", "--all", "--force"},
		{"commit", "--quiet", "--allow-empty", "--message", "Change"},
		{"push", "--quiet", "--force", "origin", branch},
	} {
		if _, err := r.Git(ctx, args...); err != nil {
			return "", err
		}
	}
	return r.Git(ctx, "rev-parse", "HEAD")
}

func run(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + dir,
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"LC_ALL=C",
		"GIT_AUTHOR_NAME=Ajour",
		"GIT_AUTHOR_EMAIL=ajour@example.org",
		"GIT_COMMITTER_NAME=Ajour",
		"GIT_COMMITTER_EMAIL=ajour@example.org",
		// Nothing goes on in a repository after the command that was run.
		"GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=maintenance.auto",
		"GIT_CONFIG_VALUE_0=false",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}
