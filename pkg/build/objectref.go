// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ObjectRef names the Drogue object that is built for: an application, or one
// device of it.
type ObjectRef struct {
	// Application is the name of the application, always set.
	Application string `json:"application"`
	// Device is the raw name of the device; empty for the application itself.
	Device string `json:"device,omitempty"`
}

// UIDs tell an object apart from one that had the same names before it: somebody else may have
// made that one. They are those of metadata.uid as the registry answers it, never those of
// events, which are wrong (contract 3.4). An empty one is not known, and equals any other.
type UIDs struct {
	Application string
	// Device is empty for the application itself.
	Device string
}

// Of returns the uid of the object itself.
func (u UIDs) Of() string { return cmp.Or(u.Device, u.Application) }

// SameUID reports whether two uids may be those of the same object.
func SameUID(a, b string) bool { return a == "" || b == "" || a == b }

// Limits of Drogue's own names (contract 1.4).
const (
	maxApplicationName = 64
	maxDeviceName      = 255
)

// String returns "application" or "application/device" for people to read. It
// is ambiguous, since device names may hold anything: use [ObjectRef.Hash] as a key.
func (o ObjectRef) String() string {
	if o.Device == "" {
		return o.Application
	}
	return o.Application + "/" + o.Device
}

// Hash returns 32 hexadecimal digits that identify the target. It is a valid
// label value whatever the names hold, and differs for the targets "a", "b-c"
// and "a-b", "c".
func (o ObjectRef) Hash() string {
	return digest("target", o.Application, o.Device)[:32]
}

// PlainName returns a name of at most 128 characters for systems that take no others: of the
// target's software modules and distribution sets in hawkBit (A15), and of the status of a commit.
// Names that could mean anything else than themselves are changed, and stay different by a hash.
func (o ObjectRef) PlainName() string {
	const most = 128
	name := strings.Map(func(c rune) rune {
		if c > unicode.MaxASCII || !strings.ContainsRune("._/+@:-", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return '_'
		}
		return c
	}, o.String())
	if suffix := "-" + o.Hash()[:8]; name != o.String() || len(name) > most {
		name = name[:min(len(name), most-len(suffix))] + suffix
	}
	return name
}

// Validate refuses names that the Drogue registry cannot hold, so that they
// never reach a URL, a selector or a log. Device names may be anything of 1 to
// 255 bytes without NUL (contract 1.4).
func (o ObjectRef) Validate() error {
	if !validHost(o.Application) || len(o.Application) > maxApplicationName {
		return fmt.Errorf("%w: application name %s: use lower-case letters, digits, '-' and '.', at most %d characters",
			ErrInvalidObjectRef, quote(o.Application), maxApplicationName)
	}
	if len(o.Device) > maxDeviceName || strings.ContainsRune(o.Device, 0) || !utf8.ValidString(o.Device) {
		return fmt.Errorf("%w: device name %s: use 1 to %d bytes of UTF-8 without NUL",
			ErrInvalidObjectRef, quote(o.Device), maxDeviceName)
	}
	return nil
}

// validHost reports whether s is an RFC 1123 host name in lower case.
func validHost(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

// digest hashes parts such that no two different lists of parts collide: each
// part is preceded by its length. The result is 64 hexadecimal digits.
func digest(parts ...string) string {
	sum := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(sum, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
