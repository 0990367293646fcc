// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var (
	// ErrNoBuild says that an object has no firmware section, or one that only
	// describes delivery: there is nothing to build (contract A7).
	ErrNoBuild = errors.New("no build description")
	// ErrInvalidObjectRef says that a name cannot be that of a Drogue object.
	ErrInvalidObjectRef = errors.New("invalid object reference")
	// ErrNotFound says that a build is not known (any more).
	ErrNotFound = errors.New("build not found")
	// ErrLogGone says that what a step printed does not exist any more.
	ErrLogGone = errors.New("log gone")
	// ErrChanged says that a run is no longer as a change of it presumes.
	ErrChanged = errors.New("run changed")
	// ErrRefused says that the cluster will never take a build's run.
	ErrRefused = errors.New("run refused")

	// ErrNoObject says that an object does not exist in the registry, or may
	// not be seen: for a device the registry tells neither apart (REG-11).
	ErrNoObject = errors.New("not found in the registry")
	// ErrForbidden says that the registry does not allow a call to its caller.
	ErrForbidden = errors.New("refused by the registry")
	// ErrUnauthenticated says that the registry does not accept the credentials of a
	// call: a different token may help, and what the call was about is not known.
	ErrUnauthenticated = errors.New("credentials refused by the registry")
	// ErrRejected says that the registry will never take a request.
	ErrRejected = errors.New("rejected by the registry")
	// ErrTooLarge says that the registry has no room for an object of that size. It is a kind
	// of [ErrRejected].
	ErrTooLarge = fmt.Errorf("%w: too large", ErrRejected)
)

// Violation is one thing wrong with a build description.
type Violation struct {
	// Path is the JSON path of the offending member below the object, for
	// example "spec.firmware.container.build.timeout".
	Path string `json:"path"`
	// Detail says what is wrong, and what to write instead.
	Detail string `json:"detail"`
}

// String is a violation, or a warning, as a line.
func (v Violation) String() string { return strings.TrimSpace(v.Path + " " + v.Detail) }

// InvalidError reports every violation of a build description at once.
type InvalidError struct {
	Violations []Violation
}

// Error lists all violations in one line.
func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		parts[i] = v.Path + ": " + v.Detail
	}
	return "invalid build description: " + strings.Join(parts, "; ")
}

// quote renders untrusted text for a message: escaped, and cut after 80 bytes.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}
