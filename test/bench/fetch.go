// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing/fstest"

	"github.com/drogue-iot/ajour/pkg/git/gittest"
)

func file(data []byte) *fstest.MapFile { return &fstest.MapFile{Data: data, Mode: 0o644} }

func random(size int) []byte {
	data := make([]byte, size)
	_, _ = rand.Read(data) // never fails
	return data
}

// repositories are the ones that are fetched.
var repositories = []struct {
	name  string
	runs  int
	files func(dir string) (fs.FS, error)
}{
	{"tiny", 40, func(string) (fs.FS, error) {
		return fstest.MapFS{"README": file([]byte("x")), "src/main.c": file(random(4000))}, nil
	}},
	{"small", 40, func(string) (fs.FS, error) {
		files := fstest.MapFS{}
		for i := range 300 {
			files[fmt.Sprintf("src/%d/%d.c", i%20, i)] = file(random(4000))
		}
		return files, nil
	}},
	{"200 MB", 7, func(string) (fs.FS, error) {
		files := fstest.MapFS{}
		for i := range 20 {
			files[fmt.Sprintf("assets/%d.bin", i)] = file(random(10 << 20))
		}
		return files, nil
	}},
	// In a real folder: one in memory is looked through for every file.
	{"100,000 files", 3, func(dir string) (fs.FS, error) {
		for i := range 100_000 {
			name := filepath.Join(dir, "src", strconv.Itoa(i/1000), strconv.Itoa(i)+".c")
			if i%1000 == 0 {
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					return nil, err
				}
			}
			if err := os.WriteFile(name, fmt.Appendf(nil, "int f%d(void) { return %d; }\n", i, i), 0o600); err != nil {
				return nil, err
			}
		}
		return os.DirFS(dir), nil
	}},
}

// fetch compares with a clone of the same branch with a depth of one.
func (b *bench) fetch(ctx context.Context) error {
	root := filepath.Join(b.dir, "git")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	s, err := gittest.New(ctx, root)
	if err != nil {
		return err
	}
	srv := httptest.NewTLSServer(s) // with the certificate of the bench
	defer srv.Close()
	for i, r := range repositories {
		name := "fetch, " + r.name
		if b.skips(name) {
			continue
		}
		repo, err := s.Create(ctx, fmt.Sprintf("r%d", i))
		if err != nil {
			return err
		}
		files, err := r.files(filepath.Join(b.dir, "files"))
		if err != nil {
			return err
		}
		if _, err := repo.Commit(ctx, "main", files); err != nil {
			return err
		}
		// As forges have them: what is packed is sent as it is.
		if out, err := exec.CommandContext(
			ctx, "git", "-C", filepath.Join(root, repo.Path()), "-c", "pack.window=0", "repack", "-a", "-d", "-q",
		).CombinedOutput(); err != nil {
			return fmt.Errorf("repack: %w: %s", err, out)
		}
		if err := errors.Join(os.RemoveAll(repo.Folder()), os.RemoveAll(filepath.Join(b.dir, "files"))); err != nil {
			return err
		}
		if err := b.compareFetch(ctx, name, r.runs, srv.URL+repo.Path(), "main", clone); err != nil {
			return err
		}
	}
	return errors.Join(b.long(ctx, s, root, srv.URL), b.submodules(ctx, s, srv.URL), b.lfs(ctx, s))
}

// clone is what people would do for a branch.
var clone = []string{
	"git", "-c", "http.sslCAInfo=BUNDLE", "clone", "--quiet", "--depth=1", "--branch=main", "URL", "DIR",
}

// compareFetch compares with a command of git, in which URL, DIR and BUNDLE stand for these.
func (b *bench) compareFetch(
	ctx context.Context, name string, runs int, url, revision string, other []string, flags ...string,
) error {
	dir := filepath.Join(b.dir, "source")
	clean := func() error { return os.RemoveAll(dir) }
	ours := side{clean, func() []string {
		return append([]string{
			filepath.Join(b.dir, "fetch"), "--uri=" + url, "--revision=" + revision, "--output=" + dir,
			"--results=" + filepath.Join(b.dir, "commit"), "--schemes=https", "--addresses=127.0.0.0/8",
			"--trusted-ca=" + b.ca(),
		}, flags...)
	}}
	theirs := side{clean, func() []string {
		var command []string
		for _, arg := range other {
			command = append(command, strings.NewReplacer("URL", url, "DIR", dir, "BUNDLE", b.bundle()).Replace(arg))
		}
		return command
	}}
	if _, err := b.compare(ctx, name, runs, ours, theirs); err != nil {
		return err
	}
	return clean()
}
