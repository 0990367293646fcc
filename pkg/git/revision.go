// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sourceRef points to what was fetched, until it is checked out.
const sourceRef = "refs/ajour/source"

// find fetches the revision, so that [sourceRef] points to it. Whatever the revision is
// called, the repository has the one commit then, and the tags that point to it: what a
// builder learns from git depends on the commit alone.
func (f *fetcher) find(ctx context.Context, format objectFormat) error {
	if err := f.newRepository(format); err != nil {
		return err
	}
	commit := strings.ToLower(f.Revision)
	if isCommit(commit) {
		return f.fetchCommit(ctx, commit)
	}
	if f.Revision == "" {
		return f.fetchOne(ctx, "HEAD")
	}
	// What is no beginning of a commit mostly is a branch: it needs no list of the refs. A name in full
	// goes before a branch that is called so, as git has it.
	branch := "refs/heads/" + f.Revision
	full := strings.HasPrefix(f.Revision, "refs/")
	if !isPart(commit) && !full {
		if err := f.fetchOne(ctx, branch); err == nil || !says(err, noRefPhrase) {
			return err
		}
	}
	candidates := []string{branch, "refs/tags/" + f.Revision}
	if full {
		candidates = append([]string{f.Revision}, candidates...)
	}
	patterns := candidates
	if isPart(commit) {
		patterns = append(slices.Clone(candidates), "refs/heads/*", "refs/tags/*")
	}
	refs, err := f.remoteRefs(ctx, patterns)
	if err != nil {
		return err
	}
	for _, ref := range candidates {
		if refs[ref] != "" {
			return f.fetchOne(ctx, ref)
		}
	}
	if isPart(commit) {
		return f.fetchPart(ctx, format, commit, refs)
	}
	return f.source().noRevision(nil)
}

// fetchOne fetches one commit: that of a ref, or one that a server gives away by its hash.
func (f *fetcher) fetchOne(ctx context.Context, name string) error {
	_, err := f.retry(
		ctx, "fetch", "--quiet", "--depth=1", "--refmap=", "--no-auto-maintenance", "--", "origin",
		"+"+name+":"+sourceRef,
	)
	return err
}

// fetchCommit fetches a commit by its full hash. Not every server gives away one that no ref
// points to: its history is fetched then, and forgotten.
func (f *fetcher) fetchCommit(ctx context.Context, commit string) error {
	err := f.fetchOne(ctx, commit)
	if !hidden(err) {
		return err
	}
	if err := f.fetchHistory(ctx); err != nil {
		return err
	}
	if _, err := f.retry(ctx, "update-ref", sourceRef, commit); err != nil {
		return f.source().noRevision(err)
	}
	return f.narrow(ctx)
}

// fetchPart fetches a commit by the beginning of its hash. If no ref points to it, it is
// looked up among the commits of all refs.
func (f *fetcher) fetchPart(ctx context.Context, format objectFormat, part string, refs map[string]string) error {
	var tips []string
	for _, hash := range refs {
		if strings.HasPrefix(hash, part) && !slices.Contains(tips, hash) {
			tips = append(tips, hash)
		}
	}
	if len(tips) == 1 {
		return f.fetchCommit(ctx, tips[0])
	}
	if err := f.fetchCommits(ctx); err != nil {
		return err
	}
	commit, err := f.retry(ctx, "rev-parse", "--verify", "--end-of-options", part+"^{commit}")
	if err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(f.Dir, ".git")); err != nil {
		return fmt.Errorf("make repository: %w", err)
	}
	if err := f.newRepository(format); err != nil {
		return err
	}
	return f.fetchCommit(ctx, strings.TrimSpace(commit))
}

// fetchHistory fetches every branch and tag.
func (f *fetcher) fetchHistory(ctx context.Context, options ...string) error {
	return f.fetchAll(ctx, append([]string{"fetch"}, options...))
}

// fetchCommits fetches the commits of every branch and tag, if the server can leave out the
// rest. git does not apply its exceptions for old commits to what is filtered, so that these
// are not checked; no tree or file comes along that could do harm.
func (f *fetcher) fetchCommits(ctx context.Context, options ...string) error {
	unchecked := []string{"-c", "transfer.fsckObjects=false", "fetch"}
	err := f.fetchAll(ctx, append(append(slices.Clone(unchecked), "--filter=tree:0"), options...))
	if says(err, incompletePhrase) { // a tag that points to a tree
		return f.fetchAll(ctx, append(append(slices.Clone(unchecked), "--filter=tree:1"), options...))
	}
	return err
}

func (f *fetcher) fetchAll(ctx context.Context, fetch []string) error {
	_, err := f.retry(ctx, append(
		fetch, "--quiet", "--force", "--no-auto-maintenance", "--", "origin",
		"+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*",
	)...)
	return err
}

// narrow leaves of a repository with more history what [fetcher.fetchOne] would have brought.
func (f *fetcher) narrow(ctx context.Context) error {
	commit, err := f.retry(ctx, "rev-parse", "--verify", sourceRef+"^{commit}")
	if err != nil {
		return err
	}
	commit = strings.TrimSpace(commit)
	tags, err := f.retry(ctx, "for-each-ref", "--points-at="+commit, "--format=%(objectname) %(refname)", "refs/tags")
	if err != nil {
		return err
	}
	dir := filepath.Join(f.Dir, ".git")
	err = errors.Join(
		os.RemoveAll(filepath.Join(dir, "packed-refs")), os.RemoveAll(filepath.Join(dir, "refs")),
		os.WriteFile(filepath.Join(dir, "shallow"), []byte(commit+"\n"), forAll&^0o111),
		os.MkdirAll(filepath.Join(dir, "refs"), forAll),
	)
	if err != nil {
		return fmt.Errorf("forget history: %w", err)
	}
	for line := range strings.Lines(tags + commit + " " + sourceRef + "\n") {
		hash, ref, _ := strings.Cut(strings.TrimSpace(line), " ")
		if _, err := f.retry(ctx, "update-ref", ref, hash); err != nil {
			return err
		}
	}
	return nil
}

// remoteRefs returns the hashes of the refs that match a pattern, by their names. A tag has
// the name of its commit, too, with "^{}" behind it.
func (f *fetcher) remoteRefs(ctx context.Context, patterns []string) (map[string]string, error) {
	out, err := f.retry(ctx, append([]string{"ls-remote", "--quiet", "--", "origin"}, patterns...)...)
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	for line := range strings.Lines(out) {
		hash, ref, _ := strings.Cut(strings.TrimSpace(line), "\t")
		refs[ref] = hash
	}
	return refs, nil
}

// isCommit reports whether a revision has the form of a full commit, by SHA-1 or SHA-256.
func isCommit(rev string) bool { return isHex(rev) && (len(rev) == 40 || len(rev) == 64) }

// isPart reports whether a revision may be the beginning of a commit.
func isPart(rev string) bool { return isHex(rev) && len(rev) >= 4 && len(rev) < 64 }

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }
