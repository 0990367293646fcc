// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package drogue

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/drogue-iot/ajour/pkg/build"
)

// The kinds of failure of a call. Test with errors.Is.
var (
	// ErrNotFound says that an object does not exist or may not be seen: a
	// device that may not be written answers the same (REG-11).
	ErrNotFound = build.ErrNoObject
	// ErrForbidden says that the caller may not do this.
	ErrForbidden = build.ErrForbidden
	// ErrUnauthenticated says that the credentials of the caller are no good.
	ErrUnauthenticated = build.ErrUnauthenticated
	// ErrConflict says that the object changed since it was read.
	ErrConflict = errors.New("changed in the registry")
	// ErrRejected says that the registry will never take the request.
	ErrRejected = build.ErrRejected
	// ErrTooLarge says that the registry has no room for the object.
	ErrTooLarge = build.ErrTooLarge
	// ErrUnavailable says that the call may work later.
	ErrUnavailable = errors.New("registry unavailable")
)

// codeForbidden is what the registry answers to credentials that are no good, with the
// status 403 (2.1). Who is known and may not do something gets a different code.
const codeForbidden = "Forbidden"

// statusError tells the kind by the status; the body is a hint and may be missing or no
// JSON (REG-9).
func statusError(method, what string, res *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10)) // a hint only
	var hint struct {
		Error   string `json:"error"`
		Message string `json:"message"`
	}
	text := strings.TrimSpace(string(body))
	if json.Unmarshal(body, &hint) == nil && hint.Message != "" {
		text = hint.Message
	}
	kind := ErrRejected
	switch {
	case res.StatusCode == http.StatusNotFound:
		kind = ErrNotFound
	case res.StatusCode == http.StatusUnauthorized,
		res.StatusCode == http.StatusForbidden && hint.Error == codeForbidden:
		kind = ErrUnauthenticated
	case res.StatusCode == http.StatusForbidden:
		kind = ErrForbidden
	case res.StatusCode == http.StatusRequestEntityTooLarge:
		kind = ErrTooLarge
	case res.StatusCode == http.StatusConflict:
		kind = ErrConflict
	case res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests:
		kind = ErrUnavailable
	}
	return fmt.Errorf("%s %s: %w: %d %.200q", method, what, kind, res.StatusCode, text)
}
