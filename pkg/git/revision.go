// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"context"
	"strings"
)

// find fetches the revision and returns a name that git has for it then.
func (f *fetcher) find(ctx context.Context, format objectFormat) (string, error) {
	if err := f.newRepository(format); err != nil {
		return "", err
	}
	if isCommit(f.Revision) {
		// Not every server gives away a commit that no ref points to.
		err := f.fetchOne(ctx, f.Revision)
		if hidden(err) {
			err = f.fetchHistory(ctx)
		}
		return f.Revision, err
	}
	ref := "HEAD"
	if f.Revision != "" {
		ref = "refs/heads/" + f.Revision
	}
	err := f.fetchOne(ctx, ref)
	if err == nil || f.Revision == "" || !says(err, noRefPhrase) {
		return "FETCH_HEAD", err
	}
	if ref, err = f.findRef(ctx); err != nil {
		return "", err
	}
	switch {
	case ref != "":
		return "FETCH_HEAD", f.fetchOne(ctx, ref)
	case isPart(f.Revision):
		return f.Revision, f.fetchHistory(ctx)
	default:
		return "", f.source().noRevision(nil)
	}
}

// fetchOne leaves the commit in FETCH_HEAD only.
func (f *fetcher) fetchOne(ctx context.Context, ref string) error {
	_, err := f.retry(
		ctx, "fetch", "--quiet", "--depth=1", "--no-tags", "--refmap=", "--no-auto-maintenance", "--", "origin",
		ref,
	)
	return err
}

// fetchHistory fetches the commits of every branch and tag. Trees and files of one of
// them follow when it is checked out, if the server can leave them out here.
func (f *fetcher) fetchHistory(ctx context.Context) error {
	_, err := f.retry(ctx, "fetch", "--quiet", "--force", "--filter=tree:0", "--no-auto-maintenance", "--", "origin",
		"+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
	return err
}

// findRef returns the ref that the revision means, "" if there is none.
func (f *fetcher) findRef(ctx context.Context) (string, error) {
	candidates := []string{"refs/tags/" + f.Revision}
	if strings.HasPrefix(f.Revision, "refs/") {
		candidates = append(candidates, f.Revision)
	}
	out, err := f.retry(ctx, append([]string{"ls-remote", "--quiet", "--", "origin"}, candidates...)...)
	if err != nil {
		return "", err
	}
	for _, candidate := range candidates {
		for line := range strings.Lines(out) {
			if _, ref, _ := strings.Cut(strings.TrimSpace(line), "\t"); ref == candidate {
				return ref, nil
			}
		}
	}
	return "", nil
}

// isCommit reports whether a revision has the form of a full commit, by SHA-1 or SHA-256.
func isCommit(rev string) bool { return isHex(rev) && (len(rev) == 40 || len(rev) == 64) }

// isPart reports whether a revision may be the beginning of a commit.
func isPart(rev string) bool { return isHex(rev) && len(rev) >= 4 && len(rev) < 64 }

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }
