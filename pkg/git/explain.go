// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/drogue-iot/ajour/pkg/build"
)

// phrases are what git, ssh and git-lfs say (with LC_ALL=C), in the order in which
// they are looked for: a server that refuses says so more precisely than the line
// after it, which only tells that the connection ended.
var phrases = []struct {
	text   string
	reason build.Reason
}{
	{"Authentication failed", build.ReasonSourceAuthFailed},
	{"could not read Username", build.ReasonSourceAuthFailed},
	{"could not read Password", build.ReasonSourceAuthFailed},
	{"Permission denied (", build.ReasonSourceAuthFailed}, // of ssh, with the methods that it tried
	{hostKeyPhrase, build.ReasonSourceAuthFailed},
	{"Authentication required", build.ReasonSourceAuthFailed},
	{"is not authorized", build.ReasonSourceAuthFailed},
	{"returned error: 401", build.ReasonSourceAuthFailed},
	{"returned error: 403", build.ReasonSourceAuthFailed},
	{"returned error: 404", build.ReasonSourceNotFound},
	{"returned error: 410", build.ReasonSourceNotFound},
	{"' not found", build.ReasonSourceNotFound}, // fatal: repository 'URL' not found
	{"Repository not found", build.ReasonSourceNotFound},
	{"could not be found", build.ReasonSourceNotFound},
	{"does not exist", build.ReasonSourceNotFound},
	{"does not appear to be a git repository", build.ReasonSourceNotFound},
	{noRefPhrase, build.ReasonRevisionNotFound},
	{noObjectPhrase, build.ReasonRevisionNotFound},
}

const (
	hostKeyPhrase  = "Host key verification failed"
	noRefPhrase    = "couldn't find remote ref"
	noObjectPhrase = "not our ref" // a commit that the server does not give away, or does not have
)

func classify(stderr string) build.Reason {
	for _, p := range phrases {
		if strings.Contains(stderr, p.text) {
			return p.reason
		}
	}
	return build.ReasonSourceUnavailable
}

// passing reports whether a failure may be gone the next time.
func passing(stderr string) bool {
	return classify(stderr) == build.ReasonSourceUnavailable && !untrusted(stderr) && !noRoom(stderr)
}

// says reports whether an error is a failure of git with a phrase in its output.
func says(err error, phrase string) bool {
	var failure *commandError
	return errors.As(err, &failure) && strings.Contains(failure.stderr, phrase)
}

// explain turns a failure of git into one that a person can act on.
func (f *fetcher) explain(err error) error {
	var step *build.StepError
	if errors.As(err, &step) {
		return err
	}
	if refused := f.refusal(err); refused != "" {
		return f.fail(build.ReasonInvalidBuildSpec, err, "Source %s cannot be used: %s", f.URI, refused)
	}
	var failure *commandError
	if !errors.As(err, &failure) {
		return err
	}
	var missing *exec.Error
	if errors.As(err, &missing) {
		return fmt.Errorf("run git, is it installed? %w", err)
	}
	switch reason := classify(failure.stderr); {
	case noRoom(failure.stderr):
		return f.noRoom(err, failure)
	case strings.Contains(failure.stderr, hostKeyPhrase):
		return f.fail(reason, err, "The host of %s is not known: add its key to known_hosts of the installation's git credentials", f.URI)
	case reason == build.ReasonSourceAuthFailed:
		return f.fail(reason, err, "Access to %s was refused: check that the repository is public, or that the installation has credentials for its host", f.URI)
	case reason == build.ReasonSourceNotFound:
		return f.fail(reason, err, "Repository %s was not found: check its address, and that the installation may read it", f.URI)
	case reason == build.ReasonRevisionNotFound && f.Revision == "":
		return f.fail(reason, err, "Repository %s has no default branch: push a commit, or name a revision", f.URI)
	case reason == build.ReasonRevisionNotFound:
		return f.noRevision(err)
	case untrusted(failure.stderr):
		return f.fail(reason, err, "Repository %s could not be reached: %s: the CA of its host belongs into the ConfigMap trusted-ca of the installation",
			f.URI, telling(failure.stderr))
	default:
		return f.fail(reason, err, "Repository %s could not be reached: %s", f.URI, telling(failure.stderr))
	}
}

// untrusted reports whether a certificate was refused, which no repetition helps with.
// The words are those of GnuTLS, OpenSSL and git-lfs.
func untrusted(stderr string) bool {
	return strings.Contains(stderr, "certificate verification failed") || strings.Contains(stderr, "SSL certificate problem") || strings.Contains(stderr, "x509: ")
}

// noRoom reports whether git could not write here. What a server says of its own disk
// is marked as such by git.
func noRoom(stderr string) bool {
	for line := range strings.Lines(strings.ToLower(stderr)) {
		if !strings.HasPrefix(line, "remote:") && slices.ContainsFunc(noRoomPhrases, func(p string) bool { return strings.Contains(line, p) }) {
			return true
		}
	}
	return false
}

var noRoomPhrases = []string{"no space left on device", "out of diskspace", "disk quota exceeded", "unable to write file"}

func (f *fetcher) noRoom(err error, failure *commandError) error {
	return f.fail(build.ReasonInternalError, err, "The source of %s cannot be written, the disk of the build may be full: %s", f.URI, telling(failure.stderr))
}

// part explains a failure to get what belongs to a revision that is there: files that
// are in LFS, or submodules. The servers of those may be other ones.
func (f *fetcher) part(what string, err error) error {
	var failure *commandError
	if err == nil || f.refusal(err) != "" || !errors.As(err, &failure) {
		return err
	}
	if noRoom(failure.stderr) {
		return f.noRoom(err, failure)
	}
	reason := classify(failure.stderr)
	if reason == build.ReasonRevisionNotFound {
		reason = build.ReasonSourceNotFound
	}
	return f.fail(reason, err, "The %s of %s cannot be fetched: %s", what, f.URI, telling(failure.stderr))
}

func (f *fetcher) fail(reason build.Reason, err error, format string, args ...any) error {
	return &build.StepError{Reason: reason, Message: build.Clean(fmt.Sprintf(format, args...)), Err: err}
}

func (f *fetcher) noRevision(err error) error {
	return f.fail(build.ReasonRevisionNotFound, err, "Revision %q is no branch, tag or commit of %s", f.Revision, f.URI)
}

// refusal returns why the policy did not allow a connection, "" if it did.
func (f *fetcher) refusal(err error) string {
	if r := (*refusal)(nil); errors.As(err, &r) {
		return r.message
	}
	var failure *commandError
	if errors.As(err, &failure) {
		if _, words, ok := strings.Cut(failure.stderr, refusedPrefix); ok {
			words, _, _ = strings.Cut(words, "\n")
			return words
		}
	}
	if f.gate != nil && f.gate.refusal() != nil {
		return f.gate.refusal().Error()
	}
	return ""
}

// telling returns the line of git's output that says most: the first that is about a
// failure, and says more than that the connection ended.
func telling(stderr string) string {
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(line), "fatal:"), "error:"))
		if line == "" || strings.Contains(line, "Could not read from remote repository") {
			continue
		}
		return line
	}
	return "git does not say why"
}
