// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing/fstest"

	"github.com/drogue-iot/ajour/pkg/git/gittest"
)

// byHand finds a short commit as cheaply as git can: among commits without their files.
const byHand = `set -e
export GIT_SSL_CAINFO="$3"
git init --quiet "$1" && cd "$1"
git -c transfer.fsckObjects=false fetch --quiet --filter=tree:0 "$0" '+refs/heads/*:refs/remotes/origin/*'
commit=$(git rev-parse --verify "$2^{commit}")
cd .. && rm -rf "$1" && git init --quiet "$1" && cd "$1"
git fetch --quiet --depth=1 "$0" "$commit"
git checkout --quiet --detach "$commit"`

// long fetches from a repository with 50,000 commits: an old one of them by the beginning of its
// hash, and a branch with its tags.
func (b *bench) long(ctx context.Context, s *gittest.Server, root, base string) error {
	const short, tags = "fetch, short commit of 50,000", "fetch, tags of 50,000"
	if b.skips(short) && b.skips(tags) {
		return nil
	}
	repo, err := s.Create(ctx, "long")
	if err != nil {
		return err
	}
	commit, err := importHistory(ctx, filepath.Join(root, repo.Path()), 50_000)
	if err != nil {
		return err
	}
	url := base + repo.Path()
	if !b.skips(short) {
		other := []string{"sh", "-c", byHand, "URL", "DIR", commit[:12], "BUNDLE"}
		if err := b.compareFetch(ctx, short, 11, url, commit[:12], other); err != nil {
			return err
		}
	}
	if b.skips(tags) {
		return nil
	}
	return b.compareFetch(ctx, tags, 11, url, "main", []string{
		"git", "-c", "http.sslCAInfo=BUNDLE", "clone", "--quiet", "--branch=main", "--filter=tree:0", "URL", "DIR",
	}, "--history=tags")
}

// importHistory fills a bare repository with commits, each the next version of a file, and a tag
// every thousand. It returns the commit in the middle.
func importHistory(ctx context.Context, dir string, commits int) (string, error) {
	var history bytes.Buffer
	for i := range commits {
		text := fmt.Sprintf("int version = %d;\n", i)
		fmt.Fprintf(&history, "commit refs/heads/main\ncommitter Ajour <ajour@example.org> %d +0000\ndata 4\nNext\n", i)
		fmt.Fprintf(&history, "M 644 inline src/version.c\ndata %d\n%s\n", len(text), text)
		if i%1000 == 0 {
			fmt.Fprintf(&history, "reset refs/tags/v%d\nfrom refs/heads/main\n\n", i/1000)
		}
	}
	cmd := exec.CommandContext(ctx, "git", "-C", dir, "fast-import", "--quiet")
	cmd.Stdin = &history
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("import history: %w: %s", err, out)
	}
	out, err := exec.CommandContext(ctx, "git", "-C", dir, "rev-parse", fmt.Sprintf("main~%d", commits/2)).Output()
	if err != nil {
		return "", fmt.Errorf("find commit: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// submodules fetches a repository with three of them.
func (b *bench) submodules(ctx context.Context, s *gittest.Server, base string) error {
	const name = "fetch, three submodules"
	if b.skips(name) {
		return nil
	}
	app, err := s.Create(ctx, "app")
	if err != nil {
		return err
	}
	var config string
	commits := map[string]string{}
	for _, lib := range []string{"one", "two", "three"} {
		repo, err := s.Create(ctx, lib)
		if err != nil {
			return err
		}
		if commits[lib], err = repo.Commit(ctx, "main", fstest.MapFS{"lib.c": file(random(4000))}); err != nil {
			return err
		}
		config += fmt.Sprintf("[submodule %q]\n\tpath = %s\n\turl = ../%s.git\n", lib, lib, lib)
	}
	if _, err := app.Commit(ctx, "main", fstest.MapFS{".gitmodules": file([]byte(config))}); err != nil {
		return err
	}
	for lib, commit := range commits {
		if _, err := app.Git(ctx, "update-index", "--add", "--cacheinfo", "160000,"+commit+","+lib); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"commit", "--quiet", "--message=Submodules"}, {"push", "--quiet", "origin", "main"}} {
		if _, err := app.Git(ctx, args...); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(app.Folder()); err != nil {
		return fmt.Errorf("remove work tree: %w", err)
	}
	return b.compareFetch(ctx, name, 15, base+app.Path(), "main", []string{
		"git", "-c", "http.sslCAInfo=BUNDLE", "clone", "--quiet", "--depth=1", "--branch=main",
		"--recurse-submodules", "--shallow-submodules", "URL", "DIR",
	})
}

// lfs fetches a repository with files in Git LFS.
func (b *bench) lfs(ctx context.Context, s *gittest.Server) error {
	const name = "fetch, 20 MB in LFS"
	if b.skips(name) {
		return nil
	}
	objects := &gittest.LFS{Handler: s}
	srv := httptest.NewTLSServer(objects)
	defer srv.Close()
	objects.Href = srv.URL
	files := fstest.MapFS{".gitattributes": file([]byte("*.bin filter=lfs diff=lfs merge=lfs -text\n"))}
	for i := range 20 {
		files[fmt.Sprintf("assets/%d.bin", i)] = file(objects.Add(random(1 << 20)))
	}
	repo, err := s.Create(ctx, "lfs")
	if err != nil {
		return err
	}
	if _, err := repo.Commit(ctx, "main", files); err != nil {
		return err
	}
	if err := os.RemoveAll(repo.Folder()); err != nil {
		return fmt.Errorf("remove work tree: %w", err)
	}
	return b.compareFetch(ctx, name, 11, srv.URL+repo.Path(), "main", []string{
		"git", "-c", "http.sslCAInfo=BUNDLE", "-c", "filter.lfs.process=git-lfs filter-process",
		"-c", "filter.lfs.required=true", "clone", "--quiet", "--depth=1", "--branch=main", "URL", "DIR",
	})
}
