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
	"regexp"
	"strings"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Options say what to fetch, and where to.
type Options struct {
	URI string
	// Revision is a branch, a tag, a full or a short commit; empty for the
	// default branch. A branch is found before a tag of the same name.
	Revision string
	// Path is the folder that the build needs, relative to the repository.
	Path string
	// Dir is the folder to check out into. What is in it is removed.
	Dir string
	// Log receives git's own words.
	Log io.Writer
}

// Result is what was fetched.
type Result struct {
	// Commit is the full hash of the commit.
	Commit string
	// Version is its short form, the REVISION of the build (contract 5.5).
	Version string
	// Time is the commit's time.
	Time time.Time
}

// shortCommit is how many digits of a commit make a version: what git shows of
// a commit in a repository of ordinary size.
const shortCommit = 7

// attempts bounds how often a step that may pass is tried.
const attempts = 4

// Fetch checks the revision out. Its errors are [*build.StepError] with one of
// the reasons SourceNotFound, SourceAuthFailed, RevisionNotFound or
// SourceUnavailable.
func Fetch(ctx context.Context, o Options) (Result, error) {
	home, err := os.MkdirTemp("", "ajour-git-")
	if err != nil {
		return Result{}, fmt.Errorf("make folder for git: %w", err)
	}
	defer os.RemoveAll(home)
	if err := empty(o.Dir, filepath.ToSlash(filepath.Clean(o.Path))); err != nil {
		return Result{}, err
	}
	f := &fetcher{Options: o, home: home}
	commit, err := f.fetch(ctx)
	if err != nil {
		return Result{}, f.explain(err)
	}
	if err := f.checkFolder(); err != nil {
		return Result{}, err
	}
	stamp, err := f.git(ctx, "-C", o.Dir, "show", "--no-patch", "--format=%cI", commit)
	if err != nil {
		return Result{}, f.explain(err)
	}
	fmt.Fprintf(o.Log, "fetched %s at %s of %s\n", o.URI, commit, strings.TrimSpace(stamp))
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(stamp))
	if err != nil {
		return Result{}, fmt.Errorf("read time of commit: %w", err)
	}
	return Result{Commit: commit, Version: commit[:shortCommit], Time: at}, nil
}

// empty makes sure that the folder exists and holds nothing but the folder at the
// path below it, if that exists: the builder may wait in it already, and a new
// one of the same name would not be where it is.
func empty(dir, path string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the builder may run as another user
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
	home string
}

var (
	fullCommit = regexp.MustCompile(`^[0-9a-f]{40}$|^[0-9a-f]{64}$`)
	partCommit = regexp.MustCompile(`^[0-9a-f]{4,63}$`)
)

// fetch finds the revision, preferably without more than that one commit, and
// checks it out.
func (f *fetcher) fetch(ctx context.Context) (string, error) {
	if _, err := f.git(ctx, "init", "--quiet", "--initial-branch=main", f.Dir); err != nil {
		return "", err
	}
	refs, err := f.remoteRefs(ctx)
	if err != nil {
		return "", err
	}
	want := "FETCH_HEAD"
	switch ref := f.findRef(refs); {
	case ref != "":
		err = f.retry(ctx, "-C", f.Dir, "fetch", "--quiet", "--depth=1", "--no-tags", "--", f.URI, ref)
	case fullCommit.MatchString(f.Revision):
		want = f.Revision
		// Not every server gives away a commit that no ref points to.
		if _, one := f.git(ctx, "-C", f.Dir, "fetch", "--quiet", "--depth=1", "--no-tags", "--", f.URI, f.Revision); one != nil {
			err = f.fetchAll(ctx)
		}
	case partCommit.MatchString(f.Revision):
		want = f.Revision
		err = f.fetchAll(ctx)
	default:
		return "", f.noRevision(nil)
	}
	if err != nil {
		return "", err
	}
	commit, err := f.git(ctx, "-C", f.Dir, "rev-parse", "--quiet", "--verify", "--end-of-options", want+"^{commit}")
	if err != nil {
		return "", f.noRevision(err)
	}
	commit = strings.TrimSpace(commit)
	_, err = f.git(ctx, "-C", f.Dir, "checkout", "--quiet", "--force", "--detach", commit)
	return commit, err
}

// remoteRefs returns the refs that the revision could mean.
func (f *fetcher) remoteRefs(ctx context.Context) (map[string]bool, error) {
	args := []string{"ls-remote", "--quiet", "--", f.URI, "HEAD"}
	if f.Revision != "" {
		args = append(args, "refs/heads/"+f.Revision, "refs/tags/"+f.Revision, f.Revision)
	}
	out, err := f.retryOutput(ctx, args...)
	if err != nil {
		return nil, err
	}
	refs := map[string]bool{}
	for line := range strings.Lines(out) {
		if _, ref, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			refs[ref] = true
		}
	}
	return refs, nil
}

func (f *fetcher) findRef(refs map[string]bool) string {
	if f.Revision == "" {
		return "HEAD"
	}
	candidates := []string{"refs/heads/" + f.Revision, "refs/tags/" + f.Revision}
	if strings.HasPrefix(f.Revision, "refs/") {
		candidates = append(candidates, f.Revision)
	}
	for _, ref := range candidates {
		if refs[ref] {
			return ref
		}
	}
	return ""
}

// fetchAll fetches the history of every branch and tag, but no files that are
// not needed if the server can leave them out.
func (f *fetcher) fetchAll(ctx context.Context) error {
	args := []string{
		"-C", f.Dir, "fetch", "--quiet", "--force", "--", f.URI,
		"+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*",
	}
	return f.retry(ctx, args...)
}

func (f *fetcher) noRevision(err error) error {
	return &build.StepError{
		Reason:  build.ReasonRevisionNotFound,
		Message: fmt.Sprintf("Revision %q is no branch, tag or commit of %s", f.Revision, f.URI), Err: err,
	}
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
			return f.noFolder(err)
		}
		if err := root.Chmod(path, 0o777); err != nil {
			return fmt.Errorf("open source folder to builder: %w", err)
		}
	}
	if path == "." {
		return nil
	}
	if entries, err := fs.ReadDir(root.FS(), filepath.ToSlash(path)); err != nil || len(entries) == 0 {
		return f.noFolder(err)
	}
	return nil
}

func (f *fetcher) noFolder(err error) error {
	return &build.StepError{
		Reason:  build.ReasonSourceNotFound,
		Message: fmt.Sprintf("Revision %q of %s has no folder %q", f.Revision, f.URI, f.Path), Err: err,
	}
}

// retry runs git again after a failure that may pass.
func (f *fetcher) retry(ctx context.Context, args ...string) error {
	_, err := f.retryOutput(ctx, args...)
	return err
}

func (f *fetcher) retryOutput(ctx context.Context, args ...string) (out string, err error) {
	wait := 250 * time.Millisecond
	for try := 1; ; try++ {
		out, err = f.git(ctx, args...)
		var failure *commandError
		if err == nil || try == attempts || !errors.As(err, &failure) || classify(failure.stderr) != build.ReasonSourceUnavailable {
			return out, err
		}
		fmt.Fprintf(f.Log, "trying again in %s\n", wait)
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(wait):
			wait *= 3
		}
	}
}
