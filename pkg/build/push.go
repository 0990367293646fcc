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
	// Pushed is when the forge says that it was pushed, the same however often it is delivered; zero
	// if it does not say.
	Pushed time.Time `json:"pushed,omitzero"`
	// Time is when the delivery came.
	Time time.Time `json:"time"`
}

// Requested is the time that builds of a push are ordered by: a push that is delivered late does not
// win over a newer one. Forges tell whole seconds; of two pushes in one of them, that one is newer
// which was delivered later.
func (p Push) Requested() time.Time {
	delay := p.Time.Sub(p.Pushed).Seconds()
	if p.Pushed.IsZero() || delay <= 0 {
		return p.Time
	}
	return p.Pushed.Add(time.Duration(delay / (delay + 1) * float64(time.Second)))
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
	case !r.Names():
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

// CommitPrefix reports whether s is the beginning of the hash of a commit, with at least so many digits.
func CommitPrefix(s string, least int) bool {
	return len(s) >= least && len(s) <= 64 && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

// Names reports whether the name is that of a branch or a tag that a description can name.
func (r PushedRef) Names() bool {
	short, branch := strings.CutPrefix(r.Name, branchPrefix)
	if !branch {
		short = strings.TrimPrefix(r.Name, tagPrefix)
	}
	return short != "" && short != r.Name && len(r.Name) <= maxRef && utf8.ValidString(r.Name) &&
		!strings.ContainsFunc(r.Name, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) })
}

// Of returns the pushed ref that a source is fetched from: the branch or the tag that its rev names,
// or the default branch if it has none. Pin reports whether it is the commit of that ref that is
// fetched for sure: a tag that rev does not name in full may have a branch of its name, which goes
// before it. It reports false for a push of a different repository or ref, and for a source whose rev
// is a commit.
func (p Push) Of(s Source) (r PushedRef, pin, ok bool) {
	if !p.isOf(s.URI) {
		return r, false, false
	}
	find := func(name string) (PushedRef, bool, bool) {
		i := slices.IndexFunc(p.Refs, func(r PushedRef) bool { return r.Name == name })
		if i < 0 {
			return PushedRef{}, false, false
		}
		return p.Refs[i], true, true
	}
	switch {
	case s.Rev == "" || s.Rev == "HEAD":
		return find(branchPrefix + p.DefaultBranch)
	case ValidCommit(strings.ToLower(s.Rev)):
		return r, false, false
	case strings.HasPrefix(s.Rev, "refs/"):
		return find(s.Rev)
	}
	if r, pin, ok := find(branchPrefix + s.Rev); ok {
		return r, pin, true
	}
	r, _, ok = find(tagPrefix + s.Rev)
	return r, false, ok
}

// isOf reports whether a URI is that of the repository that was pushed to.
func (p Push) isOf(uri string) bool {
	host, path, ok := RepositoryOf(uri)
	return ok && slices.ContainsFunc(p.URLs, func(u string) bool {
		h, q, ok := RepositoryOf(u)
		return ok && strings.EqualFold(h, host) && strings.EqualFold(q, path)
	})
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
