// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// The grammar of image references is that of the OCI distribution
// specification: a repository of lower-case components, then a tag of at most
// 128 characters. A builder may name a registry host first, and a digest last.
const (
	component  = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`
	repository = component + `(?:/` + component + `)*`
	tag        = `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`
	host       = `(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/`
	digestForm = `@sha256:[0-9a-f]{64}`
)

var (
	imagePattern   = pattern(`^` + repository + `:` + tag + `$`)
	builderPattern = pattern(`^(?:` + host + `)?` + repository + `(?::` + tag + `)?(?:` + digestForm + `)?$`)
	envPattern     = pattern(`^[A-Za-z_][A-Za-z0-9_]*$`)
	keyPattern     = pattern(`^[A-Za-z0-9._-]+$`)
	scpPattern     = pattern(`^[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[A-Za-z0-9_~./][A-Za-z0-9_~./+-]*$`)
	hostPattern    = pattern(`^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:]+)$`)
	userPattern    = pattern(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
)

// pattern compiles when it is first needed: the steps of a build link this package too,
// and would do so at each start, for nothing.
func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// plain refuses text that could be taken for anything but itself: "$(" starts a
// variable for Tekton and for the kubelet, and there is no way to write it that
// both read as plain text.
func (r *reader) plain(s, at string) string {
	switch {
	case len(s) > maxText:
		r.fail(at, "has %d bytes: use at most %d", len(s), maxText)
	case strings.Contains(s, "$("):
		r.fail(at, "contains \"$(\": variables are not expanded here, move the text into a file of the repository")
	case strings.ContainsFunc(s, func(c rune) bool { return unicode.IsControl(c) && c != '\n' && c != '\t' }):
		r.fail(at, "contains a control character: remove it")
	}
	return s
}

func (r *reader) image(s, at string) string {
	switch {
	case s == "":
	case strings.Contains(s, "@"):
		r.fail(at, "%s has a digest: name a tag to publish to", quote(s))
	case !strings.Contains(s, ":"):
		r.fail(at, "%s has no tag: add one, the update server delivers it as the version", quote(s))
	case !imagePattern().MatchString(s) || len(s) > 255:
		r.fail(
			at,
			"%s is no image reference: write NAME:TAG, the name in lower case and relative to the registry prefix",
			quote(s),
		)
	default:
		r.ownImage(s, at)
	}
	return s
}

func (r *reader) builder(s, at string) string {
	if s != "" && (!builderPattern().MatchString(s) || len(s) > 512) {
		r.fail(at, "%s is no image reference: write [HOST/]NAME[:TAG]", quote(s))
	}
	r.admittedBuilder(s, at)
	return s
}

// ValidPrefix reports whether an image of a description can stand behind a text: a registry,
// and perhaps the beginning of a repository's name. The empty prefix is valid.
func ValidPrefix(s string) bool { return builderPattern().MatchString(s + "name:tag") }

// controller refuses what hawkBit cannot hold, cannot be asked for by its path, or takes and
// then cannot serve to a device (HBW-76).
func (r *reader) controller(s, at string) string {
	r.plain(s, at)
	if n := utf8.RuneCountInString(s); n > 256 {
		r.fail(at, "has %d characters: hawkBit takes at most 256", n)
	}
	const unserved = "/\\%<>;?#{}[]|^`\""
	if strings.ContainsFunc(s, func(c rune) bool { return unicode.IsSpace(c) || strings.ContainsRune(unserved, c) }) ||
		s == "." || s == ".." {
		r.fail(at, "%s is no controller id that hawkBit can serve: use no blanks and none of %s", quote(s), unserved)
	}
	r.ownController(s, at)
	return s
}

// uri accepts https, http and ssh URLs and git's user@host:path. Everything
// else that git understands (file:, ext::, local paths) runs commands or reads
// files on the machine that builds.
func (r *reader) uri(s, at string) string {
	const remedy = "write an https://, http:// or ssh:// URL, or user@host:path"
	if s == "" || (len(s) <= 2048 && scpPattern().MatchString(s)) {
		return s
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || len(s) > 2048 || r.unclean(s):
		// The text is not repeated: it may hold a password.
		r.fail(at, "is no URL: %s", remedy)
	case u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "ssh":
		r.fail(at, "has the scheme %s: %s", quote(u.Scheme), remedy)
	case !hostPattern().MatchString(u.Hostname()):
		r.fail(at, "has no valid host: %s", remedy)
	case u.User != nil && !allowedUser(u):
		r.fail(at, "holds credentials: remove them, everybody who can read the object sees them")
	case u.Path == "" || u.Path == "/":
		r.fail(at, "has no path: name a repository")
	case u.RawQuery != "" || u.Fragment != "":
		r.fail(at, "has a query or a fragment: remove it, name a revision in rev")
	}
	return s
}

func (r *reader) unclean(s string) bool {
	return strings.Contains(s, "$(") ||
		strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' })
}

// allowedUser accepts a plain login name for ssh, which is no secret.
func allowedUser(u *url.URL) bool {
	_, password := u.User.Password()
	return u.Scheme == "ssh" && !password && userPattern().MatchString(u.User.Username())
}

// rev follows git-check-ref-format(1): a part between slashes neither begins with a dot nor
// ends with ".lock". It also refuses what git would take for an option, and "$(".
func (r *reader) rev(s, at string) string {
	if err := CheckRevision(s); err != nil {
		r.fail(at, "%s", err)
	}
	return s
}

// CheckRevision returns what is wrong with the name of a branch or a tag, or a commit; nil if nothing
// is, or if it is empty (git-check-ref-format).
func CheckRevision(s string) error {
	if s == "" {
		return nil
	}
	odd := func(c rune) bool {
		return c <= ' ' || c == 0x7f || c == utf8.RuneError || !unicode.IsPrint(c) || strings.ContainsRune(`~^:?*[\`, c)
	}
	wrong := len(s) > 255 || strings.ContainsFunc(s, odd) || strings.Contains(s, "..") || strings.Contains(s, "@{") ||
		strings.Contains(s, "$(") || strings.HasPrefix(s, "-") || strings.HasSuffix(s, ".") || s == "@"
	for part := range strings.SplitSeq(s, "/") {
		wrong = wrong || part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock")
	}
	if wrong {
		return fmt.Errorf("%s is no revision: write a branch, a tag or a commit", quote(s))
	}
	return nil
}

// reserved variables belong to the platform: REVISION is given to the builder
// (OCI-4), the others change what programs are run.
var reserved = map[string]bool{
	"REVISION": true, "PATH": true, "IFS": true, "ENV": true, "BASH_ENV": true, "SHELLOPTS": true,
	"K_SINK": true, "HOSTNAME": true,
	// The environment of a pod is that of our steps, too, whose programs are in Go.
	"GODEBUG": true, "GOTRACEBACK": true, "GOGC": true, "GOMEMLIMIT": true, "GOMAXPROCS": true,
}

func (r *reader) envName(s, at string) {
	switch {
	case s == "":
	case !envPattern().MatchString(s) || len(s) > 255:
		r.fail(at, "%s is no variable name: use letters, digits and '_'", quote(s))
	case reserved[s] || strings.HasPrefix(s, "LD_") || strings.HasPrefix(s, "DYLD_") ||
		strings.HasPrefix(s, "GIT_") || strings.HasPrefix(s, "TEKTON_") || strings.HasPrefix(s, "AJOUR_"):
		r.fail(at, "%s is reserved: choose another name", quote(s))
	}
}
