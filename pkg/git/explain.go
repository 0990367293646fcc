// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/git/egress"
)

// source is what messages name: the repository and the revision as the description has
// them.
type source struct{ uri, revision string }

// connections reports what became of the connections of a fetch; [*egress.Proxy] does.
type connections interface {
	// Denied returns the first connection that the policy did not allow, nil for none.
	Denied() error
	// Failed returns why the last connection failed, nil if it did not.
	Failed() error
}

// noConnections stands for a fetch that has not begun.
type noConnections struct{}

func (noConnections) Denied() error { return nil }
func (noConnections) Failed() error { return nil }

// explain turns a failure of git into one that a person can act on.
func explain(s source, c connections, err error) error {
	var step *build.StepError
	if errors.As(err, &step) {
		return err
	}
	if message := denied(c, err); message != "" {
		return s.fail(build.ReasonInvalidBuildSpec, err, "Source %s cannot be used: %s", s.uri, message)
	}
	var failure *commandError
	if !errors.As(err, &failure) {
		return err
	}
	var missing *exec.Error
	if errors.As(err, &missing) {
		return fmt.Errorf("run git, is it installed? %w", err)
	}
	return explainGit(s, c, failure, err)
}

// special are phrases of git that need a message of their own. Each has the source for "%s",
// and the revision for a "%q" before it.
var special = []struct{ phrase, format string }{
	{hostKeyPhrase, "The host of %s is not known: add its key to known_hosts of the installation's git credentials"},
	{"dumb http transport", "The server of %s does not speak git's smart HTTP, which is needed"},
	{"is this a git repository?", "There is no repository at %s, but perhaps a page to log in: " +
		"check its address, and that the installation has credentials for its host"},
	{"is ambiguous", "Revision %q is the beginning of several commits of %s: write more of it"},
}

func explainGit(s source, c connections, failure *commandError, err error) error {
	reason, _ := classify(failure.stderr)
	for _, p := range special {
		if !strings.Contains(failure.stderr, p.phrase) {
			continue
		}
		if strings.Contains(p.format, "%q") {
			return s.fail(build.ReasonRevisionNotFound, err, p.format, s.revision, s.uri)
		}
		return s.fail(reason, err, p.format, s.uri)
	}
	switch {
	case reason == build.ReasonInternalError:
		return s.noMemory(err)
	case reason == build.ReasonInvalidBuildSpec:
		return s.fail(reason, err, "Source %s cannot be used: %s", s.uri, mainLine(failure.stderr))
	case diskFull(failure.stderr):
		return s.diskFull(err, failure)
	case reason == build.ReasonSourceAuthFailed:
		return s.fail(
			reason,
			err,
			"Access to %s was denied: check that the repository is public, "+
				"or that the installation has credentials for its host",
			s.uri,
		)
	case reason == build.ReasonSourceNotFound:
		return s.fail(
			reason, err, "Repository %s was not found: check its address, and that the installation may read it",
			s.uri,
		)
	case reason == build.ReasonRevisionNotFound && s.revision == "":
		return s.fail(reason, err, "Repository %s has no default branch: push a commit, or name a revision", s.uri)
	case reason == build.ReasonRevisionNotFound:
		return s.noRevision(err)
	case untrusted(failure.stderr):
		return s.fail(
			reason, err,
			"Repository %s could not be reached: %s: add the CA of its host to the ConfigMap trusted-ca of the installation",
			s.uri, mainLine(failure.stderr),
		)
	case strings.Contains(failure.stderr, damagedPhrase):
		return s.fail(reason, err, "Repository %s is damaged or malicious: %s", s.uri, mainLine(failure.stderr))
	default:
		return s.fail(reason, err, "Repository %s could not be reached: %s", s.uri, cause(c, failure))
	}
}

// explainPart explains a failure to fetch what belongs to a revision that was found: files
// in LFS, or submodules. Those may come from other servers than the repository.
func explainPart(s source, c connections, what string, err error) error {
	var failure *commandError
	if err == nil || denied(c, err) != "" || !errors.As(err, &failure) {
		return err
	}
	if diskFull(failure.stderr) {
		return s.diskFull(err, failure)
	}
	reason, _ := classify(failure.stderr)
	if reason == build.ReasonInternalError {
		return s.noMemory(err)
	}
	if reason == build.ReasonRevisionNotFound {
		reason = build.ReasonSourceNotFound
	}
	return s.fail(reason, err, "The %s of %s cannot be fetched: %s", what, s.uri, cause(c, failure))
}

// cause says why a connection failed. The proxy knows it better than git, which only sees
// that the proxy did not connect.
func cause(c connections, failure *commandError) string {
	if err := c.Failed(); err != nil {
		return err.Error()
	}
	return mainLine(failure.stderr)
}

// denied returns why the policy did not allow a connection, "" if it did.
func denied(c connections, err error) string {
	if e := (*egress.DeniedError)(nil); errors.As(err, &e) {
		return e.Message
	}
	var failure *commandError
	if errors.As(err, &failure) {
		if _, text, ok := strings.Cut(failure.stderr, deniedPrefix); ok {
			text, _, _ = strings.Cut(text, "\n")
			return text
		}
	}
	if err := c.Denied(); err != nil {
		return err.Error()
	}
	return ""
}

func (s source) fail(reason build.Reason, err error, format string, args ...any) error {
	return &build.StepError{Reason: reason, Message: build.Clean(fmt.Sprintf(format, args...)), Err: err}
}

func (s source) diskFull(err error, failure *commandError) error {
	return s.fail(
		build.ReasonInternalError, err, "The source of %s cannot be written, the disk of the build may be full: %s",
		s.uri, mainLine(failure.stderr),
	)
}

func (s source) noMemory(err error) error {
	return s.fail(
		build.ReasonInternalError, err,
		"git ran out of memory with the source of %s: the repository may be malicious, or the step fetch needs more", s.uri,
	)
}

func (s source) noRevision(err error) error {
	return s.fail(build.ReasonRevisionNotFound, err, "Revision %q is not a branch, tag or commit of %s", s.revision, s.uri)
}

func (s source) noFolder(err error, path string) error {
	return s.fail(build.ReasonSourceNotFound, err, "Revision %q of %s has no folder %q", s.revision, s.uri, path)
}
