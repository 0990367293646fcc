// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/drogue-iot/ajour/pkg/auth"
	"github.com/drogue-iot/ajour/pkg/build"
)

// Problem is the body of every error: problem details (RFC 9457) that a client
// of Drogue can read as well.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what is wrong and what to do, for people.
	Detail string `json:"detail"`
	// Code and Message are what Drogue's own errors have (contract 1.12).
	Code    string `json:"error"`
	Message string `json:"message"`
	// Violations lists what is wrong with a build description.
	Violations []build.Violation `json:"violations,omitempty"`
	// Candidates are the ids of the builds that are meant by an id that was cut short.
	Candidates []string `json:"candidates,omitempty"`
	// Command is what does it instead.
	Command string `json:"command,omitempty"`
	// Build is the id of a build that was refused.
	Build string `json:"build,omitempty"`
	// retryAfter is when the call may be made once more; some seconds if it is 0.
	retryAfter time.Duration
}

// Error implements error.
func (p *Problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Code, p.Detail) }

func problem(status int, code, detail string) *Problem {
	return &Problem{
		Type:    "about:blank",
		Title:   http.StatusText(status),
		Status:  status,
		Detail:  detail,
		Code:    code,
		Message: detail,
	}
}

// asProblem maps kinds of errors to answers. What the registry hides from its
// caller is hidden here (A6), and nothing of the inside is asked.
func asProblem(err error) *Problem {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, auth.ErrNotReady):
		return problem(
			http.StatusServiceUnavailable, "Unavailable",
			"Tokens cannot be checked yet, because the OIDC issuer did not answer: try again",
		)
	case errors.Is(err, auth.ErrInvalidToken):
		return problem(
			http.StatusUnauthorized, "Unauthorized",
			"This call needs a valid access token, as in Authorization: Bearer TOKEN",
		)
	case errors.Is(err, build.ErrInvalidObjectRef):
		return problem(http.StatusBadRequest, "InvalidRequest", err.Error())
	case errors.Is(err, build.ErrUnauthenticated): // the registry has no leeway for one that has just expired
		return problem(
			http.StatusUnauthorized, "Unauthorized",
			"The Drogue registry does not accept the access token, which may have expired: get a new one",
		)
	case errors.Is(err, build.ErrNoObject), errors.Is(err, build.ErrForbidden):
		return problem(http.StatusNotFound, "NotFound", "The application or device does not exist, or you may not read it")
	case errors.Is(err, build.ErrNotFound):
		return problem(http.StatusNotFound, "NotFound", "There is no such build, or you may not read its application")
	case errors.Is(err, build.ErrNoBuild):
		return problem(
			http.StatusNotFound, "NoBuild",
			"The object has no build description of its own: add one below spec.firmware.container.build",
		)
	default:
		return problem(
			http.StatusServiceUnavailable, "Unavailable",
			"A service behind this one did not answer as it should: try again",
		)
	}
}

func (h *handler) fail(w http.ResponseWriter, c *call, err error) {
	p := asProblem(err)
	if p.Status >= http.StatusInternalServerError {
		h.Log.ErrorContext(
			c.Context(), "call failed", "method", c.Method, "object", c.object.String(), "build", c.id, "error",
			err,
		)
	}
	h.refused(c.Context(), p)
	p.write(w)
}

// refuse answers a call without a valid token.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := asProblem(err)
	h.refused(r.Context(), p)
	p.write(w)
}

func (p *Problem) write(w http.ResponseWriter) {
	if p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(cmp.Or(p.retryAfter, 5*time.Second).Seconds()))))
	}
	if p.Status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone: there is nobody to tell
}
