// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/drogue-iot/ajour/pkg/build"
)

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
	case strings.Contains(failure.stderr, damagedPhrase):
		return f.fail(reason, err, "Repository %s is damaged, or made to do harm: %s", f.URI, telling(failure.stderr))
	default:
		return f.fail(reason, err, "Repository %s could not be reached: %s", f.URI, f.cause(failure))
	}
}

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
	return f.fail(reason, err, "The %s of %s cannot be fetched: %s", what, f.URI, f.cause(failure))
}

// cause says why something could not be had: the gate knows better than git, which only
// tells that the gate did not connect.
func (f *fetcher) cause(failure *commandError) string {
	if err := f.gate.broken(); err != nil {
		return err.Error()
	}
	return telling(failure.stderr)
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
