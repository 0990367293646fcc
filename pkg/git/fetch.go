// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/pkg/git/egress"
)

// Options say what to fetch, and where to.
type Options struct {
	URI string
	// Revision is a branch, a tag, a full or a short commit; empty or HEAD for the
	// default branch. A branch is found before a tag of the same name.
	Revision string
	// History says what to fetch besides the commit and the tags that point to it.
	History History
	// Path is the folder that the build needs, relative to the repository.
	Path string
	// Dir is the folder to check out into. What is in it is removed.
	Dir string
	// Policy says where source may come from.
	Policy egress.Policy
	// Credentials is a folder with any of the files ".git-credentials" (a URL with user
	// and password a line, as git-credential-store(1) has it), "ssh-privatekey.HOST" (the
	// key for a host), "ssh-privatekey" (that for all others), and "known_hosts" (the
	// hosts that ssh connects to). None are used if it is empty or not there.
	Credentials string
	// TrustedCA is a file of CA certificates to trust besides those of the system; not
	// used if it is empty or not there.
	TrustedCA string
	// SSH is the command that git runs in place of ssh: a program that calls [SSH]
	// with its further arguments.
	SSH []string
	// Log receives the output of git.
	Log io.Writer
}

// Result is what was fetched.
type Result struct {
	// Commit is the full hash of the commit.
	Commit string
	// Version is its short form, the REVISION of the build (contract 5.5), of the length that
	// git shows: seven digits or more.
	Version string
	// Time is the commit's time.
	Time time.Time
}

// Fetch checks the revision out, with its submodules and the files that it keeps in
// LFS. Its errors are [*build.StepError] with one of the reasons SourceNotFound,
// SourceAuthFailed, RevisionNotFound, SourceUnavailable, or InvalidBuildSpec for a
// source that the policy does not allow.
func Fetch(ctx context.Context, o Options) (r Result, err error) {
	f := &fetcher{Options: o}
	if f.Revision == "HEAD" {
		f.Revision = ""
	}
	if err := o.Policy.Validate(); err != nil {
		return r, fmt.Errorf("policy of sources: %w", err)
	}
	if err := o.Policy.CheckURI(o.URI); err != nil {
		return r, explain(f.source(), noConnections{}, err)
	}
	if f.home, err = os.MkdirTemp("", "ajour-git-"); err != nil {
		return r, fmt.Errorf("make folder for git: %w", err)
	}
	defer os.RemoveAll(f.home)
	if err := empty(o.Dir, filepath.ToSlash(filepath.Clean(o.Path))); err != nil {
		return r, err
	}
	if f.proxy, err = egress.Open(ctx, o.Policy); err != nil {
		return r, err
	}
	defer f.proxy.Close()
	if err := f.setUp(f.proxy.URL()); err != nil {
		return r, fmt.Errorf("set git up: %w", err)
	}
	if r, err = f.fetch(ctx); err != nil {
		return Result{}, explain(f.source(), f.proxy, err)
	}
	if err := f.checkFolder(); err != nil {
		return Result{}, err
	}
	fmt.Fprintf(o.Log, "fetched %s at %s of %s\n", o.URI, r.Commit, r.Time.Format(time.RFC3339))
	return r, nil
}

// empty makes sure that the folder exists and holds nothing but the folder at the
// path below it, if that exists: the builder may wait in it already, and a new
// one of the same name would not be where it is.
func empty(dir, path string) error {
	if err := os.MkdirAll(dir, forAll); err != nil {
		return fmt.Errorf("prepare folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("prepare folder: %w", err)
	}
	first, rest, _ := strings.Cut(path, "/")
	for _, e := range entries {
		if e.IsDir() && e.Name() == first {
			err = empty(filepath.Join(dir, first), rest)
		} else {
			err = os.RemoveAll(filepath.Join(dir, e.Name()))
		}
		if err != nil {
			return fmt.Errorf("prepare folder: %w", err)
		}
	}
	return nil
}

type fetcher struct {
	Options
	home  string
	proxy *egress.Proxy
	ssh   string // the setup of SSH
}

func (f *fetcher) source() source { return source{f.URI, f.Revision} }

// fetch finds the revision and checks it out.
func (f *fetcher) fetch(ctx context.Context) (r Result, err error) {
	format := sha1
	if isCommit(f.Revision) && len(f.Revision) == 64 {
		format = sha256
	}
	err = f.find(ctx, format)
	switch {
	case says(err, formatPhrase) && format == sha256: // it cannot be a commit there
		return r, f.source().noRevision(err)
	case says(err, formatPhrase):
		err = f.find(ctx, sha256)
	}
	if err != nil {
		return r, err
	}
	// git-lfs is started before the files are there, and looks for its settings at HEAD then.
	dir := filepath.Join(f.Dir, ".git")
	head := []byte("ref: " + sourceRef + "\n")
	if err := os.WriteFile(filepath.Join(dir, "HEAD"), head, forAll&^0o111); err != nil {
		return r, fmt.Errorf("set HEAD: %w", err)
	}
	// The commit is looked at while its files are checked out.
	var stamp string
	var g errgroup.Group
	g.Go(func() (err error) {
		stamp, err = f.retry(ctx, "log", "-1", "--format=%H %h %ct", sourceRef+"^{commit}")
		return err
	})
	_, failed := f.retry(ctx, "checkout", "--quiet", "--force", "--detach", sourceRef)
	err = g.Wait()
	if says(err, "") {
		return r, f.source().noRevision(err)
	}
	if err := errors.Join(err, failed); err != nil {
		return r, explainPart(f.source(), f.proxy, "files", errors.Join(f.checkLFS(ctx), err))
	}
	if err := os.RemoveAll(filepath.Join(dir, filepath.Dir(sourceRef))); err != nil {
		return r, fmt.Errorf("remove %s: %w", sourceRef, err)
	}
	var seconds int64
	if _, err := fmt.Sscan(stamp, &r.Commit, &r.Version, &seconds); err != nil {
		return r, fmt.Errorf("read commit %q: %w", stamp, err)
	}
	r.Time = time.Unix(seconds, 0).UTC()
	if err := f.deepen(ctx); err != nil {
		return r, explainPart(f.source(), f.proxy, "history", err)
	}
	return r, explainPart(f.source(), f.proxy, "submodules", f.submodules(ctx))
}

// checkLFS says what the policy has against the place at which the repository has its files in
// LFS, nil if that is none or allowed.
func (f *fetcher) checkLFS(ctx context.Context) error {
	place, err := f.git(ctx, "-C", f.Dir, "config", "--blob", sourceRef+":.lfsconfig", "--get", "lfs.url")
	if err != nil {
		return nil //nolint:nilerr // it does not say
	}
	return f.Policy.CheckURI(strings.TrimSpace(place))
}

// submodules checks out the submodules at the commits that the repository names,
// those of submodules included, but for those that the repository says not to update
// ("update = none"). Where a server gives away no single commit, their history is fetched.
func (f *fetcher) submodules(ctx context.Context) error {
	if _, err := os.Lstat(filepath.Join(f.Dir, ".gitmodules")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	update := []string{"submodule", "--quiet", "update", "--init", "--recursive", "--force"}
	_, err := f.retry(ctx, append(update, "--depth=1")...)
	if err == nil || !hidden(err) && !says(err, "did not contain") {
		return err
	}
	if _, err := f.retry(ctx, "submodule", "--quiet", "deinit", "--force", "--all"); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(f.Dir, ".git", "modules")); err != nil {
		return fmt.Errorf("remove shallow submodules: %w", err)
	}
	_, err = f.retry(ctx, append(update, "--no-recommend-shallow")...)
	return err
}

// checkFolder makes sure that the build has a folder to start in, and that its
// user may write there. A folder that holds nothing is none of the repository's,
// which has no empty ones. Links are not followed: not even one that stays inside,
// since the builder may wait in the folder already.
func (f *fetcher) checkFolder() error {
	root, err := os.OpenRoot(f.Dir)
	if err != nil {
		return fmt.Errorf("open source folder: %w", err)
	}
	defer root.Close()
	path, err := ".", root.Chmod(".", 0o777)
	if err != nil {
		return fmt.Errorf("open source folder to builder: %w", err)
	}
	for part := range strings.SplitSeq(filepath.Clean(filepath.FromSlash(f.Path)), string(filepath.Separator)) {
		path = filepath.Join(path, part)
		info, err := root.Lstat(path)
		if err != nil || !info.IsDir() {
			return f.source().noFolder(err, f.Path)
		}
		if err := root.Chmod(path, 0o777); err != nil {
			return fmt.Errorf("open source folder to builder: %w", err)
		}
	}
	if path == "." {
		return nil
	}
	if entries, err := fs.ReadDir(root.FS(), filepath.ToSlash(path)); err != nil || len(entries) == 0 {
		return f.source().noFolder(err, f.Path)
	}
	return nil
}
