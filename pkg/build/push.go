// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of a push. A ref is a path in the repository's folder, which file systems bound.
const (
	maxPushedRefs = 1000
	maxRef        = 1024
	maxURLs       = 8
)

// The prefixes of the refs that a description can name.
const (
	branchPrefix = "refs/heads/"
	tagPrefix    = "refs/tags/"
)

// Push says that somebody has pushed to a repository. It is the data of the event source.pushed.
// Which objects are built from that repository, the builder finds out.
type Push struct {
	// Application is the one whose objects are built; its secret has signed the push.
	Application string `json:"application"`
	// URLs are those that the forge gives the repository: by HTTPS, by ssh and as a page.
	URLs []string `json:"urls"`
	// DefaultBranch is the short name of the branch that a description without rev means;
	// empty if the forge does not say.
	DefaultBranch string `json:"defaultBranch,omitempty"`
	// Refs are those that were created or moved, without those that were deleted.
	Refs []PushedRef `json:"refs"`
	Time time.Time   `json:"time"`
}

// PushedRef is a branch or a tag that points to a commit now.
type PushedRef struct {
	// Name is that of the ref in full, as refs/heads/main.
	Name string `json:"name"`
	// Commit is the full hash of the commit, Before that of the one before, all zeros if the ref
	// is new.
	Commit string `json:"commit"`
	Before string `json:"before"`
}

// Validate refuses a push that no api of this project made, and one that says nothing.
func (p Push) Validate() error {
	switch {
	case p.Time.IsZero():
		return errors.New("push without a time")
	case len(p.URLs) == 0 || len(p.URLs) > maxURLs:
		return fmt.Errorf("push with %d URLs of the repository: it needs 1 to %d", len(p.URLs), maxURLs)
	case len(p.Refs) == 0 || len(p.Refs) > maxPushedRefs:
		return fmt.Errorf("push of %d branches and tags: it needs 1 to %d", len(p.Refs), maxPushedRefs)
	}
	for _, r := range p.Refs {
		if err := r.validate(); err != nil {
			return err
		}
	}
	return ObjectRef{Application: p.Application}.Validate()
}

func (r PushedRef) validate() error {
	switch {
	case r.short() == "" || len(r.Name) > maxRef || !utf8.ValidString(r.Name) ||
		strings.ContainsFunc(r.Name, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }):
		return fmt.Errorf("push of %s, which is no branch and no tag", quote(r.Name))
	case !ValidCommit(r.Commit) || r.Before != "" && !ValidCommit(r.Before):
		return fmt.Errorf("push of %s without the full hash of its commit", quote(r.Name))
	}
	return nil
}

// ValidCommit reports whether s is the full hash of a commit, by SHA-1 or SHA-256, in lower case.
func ValidCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// short returns the name of the branch or tag, empty for a different ref.
func (r PushedRef) short() string {
	for _, prefix := range []string{branchPrefix, tagPrefix} {
		if name, ok := strings.CutPrefix(r.Name, prefix); ok {
			return name
		}
	}
	return ""
}

// Of returns the pushed ref that a source is fetched from: the branch or the tag that its rev names,
// or the default branch if it has none. A branch goes before a tag of that name, as when it is
// fetched. It reports false for one of a different repository or ref.
func (p Push) Of(s Source) (PushedRef, bool) {
	host, path, ok := RepositoryOf(s.URI)
	if !ok || !slices.ContainsFunc(p.URLs, func(u string) bool {
		h, q, ok := RepositoryOf(u)
		return ok && strings.EqualFold(h, host) && strings.EqualFold(q, path)
	}) {
		return PushedRef{}, false
	}
	rev := s.Rev
	if rev == "" {
		rev = branchPrefix + p.DefaultBranch
	}
	for _, name := range []string{branchPrefix + rev, tagPrefix + rev, rev} {
		for _, r := range p.Refs {
			if r.Name == name {
				return r, true
			}
		}
	}
	return PushedRef{}, false
}

// RepositoryOf returns host and path of a repository's URL, which are the same however it is
// fetched: without scheme, user, port and the suffix .git. It reports false for what is no URL of a
// repository.
func RepositoryOf(uri string) (host, path string, ok bool) {
	if !strings.Contains(uri, "://") { // user@host:path
		_, rest, _ := strings.Cut(uri, "@")
		host, path, ok := strings.Cut(rest, ":")
		if !ok {
			return "", "", false
		}
		uri = "ssh://" + host + "/" + strings.TrimPrefix(path, "/")
	}
	u, err := url.Parse(uri)
	if err != nil {
		return "", "", false
	}
	host, path = u.Hostname(), strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git")
	return host, path, host != "" && path != ""
}
