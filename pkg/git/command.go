// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

// maxOutput bounds what is kept of git's output.
const maxOutput = 1 << 20

// commandError is a failure of the git command itself.
type commandError struct {
	stderr string
	err    error
}

func (e *commandError) Error() string { return fmt.Sprintf("git: %v: %s", e.err, e.stderr) }
func (e *commandError) Unwrap() error { return e.err }

// settings hold for every command, whatever a repository brings along.
var settings = []string{
	"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.symlinks=true",
	"-c", "core.protectHFS=true", "-c", "core.protectNTFS=true", "-c", "credential.helper=",
	"-c", "protocol.allow=never", "-c", "protocol.http.allow=always", "-c", "protocol.https.allow=always",
	"-c", "protocol.ssh.allow=always", "-c", "http.followRedirects=initial", "-c", "http.lowSpeedLimit=1000",
	"-c", "http.lowSpeedTime=30", "-c", "advice.detachedHead=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false",
	"-c", "transfer.fsckObjects=true", "-c", "submodule.recurse=false",
}

// git runs one command and returns its standard output.
func (f *fetcher) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append(append([]string{}, settings...), args...)...) //nolint:gosec // no shell; options end before user text
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + f.home, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=/bin/false", "SSH_ASKPASS=/bin/false", "GIT_LFS_SKIP_SMUDGE=1",
		"GIT_SSH_COMMAND=ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=10",
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr limited
	cmd.Stdout = &stdout
	cmd.Stderr = io.MultiWriter(&stderr, f.Log)
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", &commandError{stderr: strings.TrimSpace(stderr.String()), err: err}
	}
	return stdout.String(), nil
}

// limited keeps the first megabyte and drops the rest.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if rest := maxOutput - l.Len(); rest > 0 {
		_, _ = l.Buffer.Write(p[:min(rest, len(p))])
	}
	return len(p), nil
}

// phrases are what git says (with LC_ALL=C), in the order in which they are
// looked for: a server that refuses says so more precisely than the line after
// it, which only tells that the connection ended.
var phrases = []struct {
	text   string
	reason build.Reason
}{
	{"Authentication failed", build.ReasonSourceAuthFailed},
	{"could not read Username", build.ReasonSourceAuthFailed},
	{"could not read Password", build.ReasonSourceAuthFailed},
	{"Permission denied", build.ReasonSourceAuthFailed},
	{"Host key verification failed", build.ReasonSourceAuthFailed},
	{"returned error: 401", build.ReasonSourceAuthFailed},
	{"returned error: 403", build.ReasonSourceAuthFailed},
	{"returned error: 404", build.ReasonSourceNotFound},
	{"returned error: 410", build.ReasonSourceNotFound},
	{"not found", build.ReasonSourceNotFound},
	{"does not exist", build.ReasonSourceNotFound},
	{"does not appear to be a git repository", build.ReasonSourceNotFound},
	{"couldn't find remote ref HEAD", build.ReasonRevisionNotFound},
}

func classify(stderr string) build.Reason {
	for _, p := range phrases {
		if strings.Contains(stderr, p.text) {
			return p.reason
		}
	}
	return build.ReasonSourceUnavailable
}

// explain turns a failure of git into one that a person can act on.
func (f *fetcher) explain(err error) error {
	var step *build.StepError
	var failure *commandError
	if errors.As(err, &step) || !errors.As(err, &failure) {
		return err
	}
	var missing *exec.Error
	if errors.As(err, &missing) {
		return fmt.Errorf("run git, is it installed? %w", err)
	}
	reason := classify(failure.stderr)
	var message string
	switch reason {
	case build.ReasonSourceAuthFailed:
		message = fmt.Sprintf("Access to %s was refused: check that the repository is public", f.URI)
	case build.ReasonSourceNotFound:
		message = fmt.Sprintf("Repository %s was not found: check its address, and that it is public", f.URI)
	case build.ReasonRevisionNotFound:
		message = fmt.Sprintf("Repository %s has no default branch: push a commit, or name a revision", f.URI)
	default:
		message = fmt.Sprintf("Repository %s could not be reached: %s", f.URI, lastLine(failure.stderr))
	}
	return &build.StepError{Reason: reason, Message: build.Clean(message), Err: err}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "fatal: ")
}
