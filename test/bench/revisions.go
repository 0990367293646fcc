// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
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

// shortCommit fetches an old commit by the beginning of its hash.
func (b *bench) shortCommit(ctx context.Context, s *gittest.Server, root, base string) error {
	const name, commits = "fetch, short commit of 50,000", 50_000
	if b.skips(name) {
		return nil
	}
	repo, err := s.Create(ctx, "long")
	if err != nil {
		return err
	}
	var history bytes.Buffer
	for i := range commits {
		text := fmt.Sprintf("int version = %d;\n", i)
		fmt.Fprintf(&history, "commit refs/heads/main\ncommitter Ajour <ajour@example.org> %d +0000\ndata 4\nNext\n", i)
		fmt.Fprintf(&history, "M 644 inline src/version.c\ndata %d\n%s\n", len(text), text)
	}
	cmd := exec.CommandContext(ctx, "git", "-C", filepath.Join(root, repo.Path()), "fast-import", "--quiet")
	cmd.Stdin = &history
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("import history: %w: %s", err, out)
	}
	out, err := exec.CommandContext(
		ctx, "git", "-C", filepath.Join(root, repo.Path()), "rev-parse", fmt.Sprintf("main~%d", commits/2),
	).Output()
	if err != nil {
		return fmt.Errorf("find commit: %w", err)
	}
	short := strings.TrimSpace(string(out))[:12]
	other := []string{"sh", "-c", byHand, "URL", "DIR", short, "BUNDLE"}
	return b.compareFetch(ctx, name, 5, base+repo.Path(), short, other)
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
