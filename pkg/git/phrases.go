// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"errors"
	"slices"
	"strings"

	"github.com/drogue-iot/ajour/pkg/build"
)

// phrases are what git, ssh and git-lfs say (with LC_ALL=C), in the order in which
// they are looked for: a server that refuses says so more precisely than the line
// after it, which only tells that the connection ended. What is none of them may pass.
var phrases = []struct {
	text   string
	reason build.Reason
}{
	{"' not allowed", build.ReasonInvalidBuildSpec}, // fatal: transport 'git' not allowed
	{"Authentication failed", build.ReasonSourceAuthFailed},
	{"could not read Username", build.ReasonSourceAuthFailed},
	{"could not read Password", build.ReasonSourceAuthFailed},
	{"Permission denied (", build.ReasonSourceAuthFailed}, // of ssh, with the methods that it tried
	{hostKeyPhrase, build.ReasonSourceAuthFailed},
	{"Authentication required", build.ReasonSourceAuthFailed},
	{"Authorization error", build.ReasonSourceAuthFailed}, // of git-lfs
	{"is not authorized", build.ReasonSourceAuthFailed},
	{"returned error: 401", build.ReasonSourceAuthFailed},
	{"returned error: 403", build.ReasonSourceAuthFailed},
	{"returned error: 404", build.ReasonSourceNotFound},
	{"returned error: 410", build.ReasonSourceNotFound},
	{"' not found", build.ReasonSourceNotFound}, // fatal: repository 'URL' not found
	{"Repository not found", build.ReasonSourceNotFound},
	{"Cannot find repository", build.ReasonSourceNotFound}, // of Gitea and Forgejo, by ssh
	{"object not found", build.ReasonSourceNotFound},       // of git-lfs
	{"could not be found", build.ReasonSourceNotFound},
	{"does not exist", build.ReasonSourceNotFound},
	{"does not appear to be a git repository", build.ReasonSourceNotFound},
	{"not valid: is this a git repository?", build.ReasonSourceNotFound}, // such as a page to log in
	{"dumb http transport", build.ReasonSourceNotFound},
	{"No url found for submodule path", build.ReasonSourceNotFound},
	{"cannot strip one component off url", build.ReasonSourceNotFound},
	{noRefPhrase, build.ReasonRevisionNotFound},
	{"unknown revision", build.ReasonRevisionNotFound}, // in what was fetched, as the next ones
	{"Needed a single revision", build.ReasonRevisionNotFound},
	{"bad object", build.ReasonRevisionNotFound},
	{"did not match any file", build.ReasonRevisionNotFound},
	{hiddenPhrases[0], build.ReasonRevisionNotFound},
	{hiddenPhrases[1], build.ReasonRevisionNotFound},
	{hiddenPhrases[2], build.ReasonRevisionNotFound},
	{"Out of memory", build.ReasonInternalError},
	{"unable to create thread", build.ReasonInternalError},
	{"died of signal 9", build.ReasonInternalError},
	{killedPhrase, build.ReasonInternalError},
	{damagedPhrase, build.ReasonSourceUnavailable},
	{incompletePhrase, build.ReasonSourceUnavailable},
	{formatPhrase, build.ReasonSourceUnavailable},
}

// hiddenPhrases are said of a commit that the server does not give away, or does not
// have: by git, by git before protocol 2, by JGit.
var hiddenPhrases = [...]string{"not our ref", "unadvertised object", "remote error: want"}

// hidden reports whether a failure is that a commit cannot be had by itself.
func hidden(err error) bool {
	return slices.ContainsFunc(hiddenPhrases[:], func(p string) bool { return says(err, p) })
}

const (
	hostKeyPhrase = "Host key verification failed"
	noRefPhrase   = "couldn't find remote ref"
	formatPhrase  = "mismatched algorithms" // of objects: SHA-1 and SHA-256
	damagedPhrase = "fsck error"
	killedPhrase  = "signal: killed" // git itself, which is out of memory

	incompletePhrase = "did not send all necessary objects"
)

// classify returns the reason for what git says, and whether that will last.
func classify(stderr string) (reason build.Reason, lasting bool) {
	for _, p := range phrases {
		if strings.Contains(stderr, p.text) {
			return p.reason, true
		}
	}
	return build.ReasonSourceUnavailable, untrusted(stderr) || diskFull(stderr)
}

// says reports whether an error is a failure of git with a phrase in its output.
func says(err error, phrase string) bool {
	var failure *commandError
	return errors.As(err, &failure) && strings.Contains(failure.stderr, phrase)
}

// untrusted reports whether a certificate was refused, which no repetition helps with.
// The phrases are those of GnuTLS, OpenSSL and git-lfs.
func untrusted(stderr string) bool {
	return strings.Contains(stderr, "certificate verification failed") ||
		strings.Contains(stderr, "SSL certificate problem") ||
		strings.Contains(stderr, "x509: ")
}

// diskFull reports whether git could not write here. What a server says of its own disk
// is marked as such by git, but for what comes by ssh before git answers there.
func diskFull(stderr string) bool {
	for line := range strings.Lines(strings.ToLower(stderr)) {
		if !strings.HasPrefix(line, "remote:") && !strings.Contains(line, "remote error:") &&
			slices.ContainsFunc(diskFullPhrases, func(p string) bool { return strings.Contains(line, p) }) {
			return true
		}
	}
	return false
}

var diskFullPhrases = []string{
	"no space left on device",
	"out of diskspace",
	"disk quota exceeded",
	"unable to write file",
}

// idlePhrases are in lines that tell nothing of a failure.
var idlePhrases = []string{"Could not read from remote repository", "Downloading ", "askpass"}

// mainLine returns the line of git's output that explains the failure best: the first that
// says more than that the connection ended.
func mainLine(stderr string) string {
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(line), "fatal:"), "error:"))
		if line == "" || slices.ContainsFunc(idlePhrases, func(p string) bool { return strings.Contains(line, p) }) {
			continue
		}
		return line
	}
	return "git does not say why"
}
