// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// answer is an error with the exact status and body of the real service.
type answer struct {
	status  int
	code    string
	message string
}

func (a *answer) Error() string { return fmt.Sprintf("%d %s: %s", a.status, a.code, a.message) }

// The answers of contract 1.12.
var (
	errForbidden = &answer{http.StatusForbidden, "Forbidden", "Forbidden"}
	errTwoWays   = &answer{
		http.StatusForbidden,
		"Forbidden",
		"Invalid request: More than one way of authentication provided",
	}
	errNoRight    = &answer{http.StatusForbidden, "AuthenticationError", "Not authorized"}
	errNotFound   = &answer{http.StatusNotFound, "NotFound", "Not found"}
	errEmpty404   = &answer{status: http.StatusNotFound}
	errReference  = &answer{http.StatusNotFound, "ReferenceNotFound", "Referenced a non-existing entity"}
	errConflict   = &answer{http.StatusConflict, "Conflict", "Conflict"}
	errLockFailed = &answer{http.StatusConflict, "OptimisticLockFailed", "Lock failed"}
	errSender     = &answer{http.StatusBadGateway, "EventSenderError", "Failed to send the event"}
	errNULName    = &answer{
		http.StatusServiceUnavailable,
		"DatabaseError",
		`Database error: db error: ERROR: invalid byte sequence for encoding "UTF8": 0x00`,
	}
	errNUL = &answer{
		http.StatusServiceUnavailable,
		"DatabaseError",
		"Database error: db error: ERROR: unsupported Unicode escape sequence\nDETAIL: \\u0000 cannot be converted to text.",
	}
)

func tooLong(n int) error {
	return &answer{
		http.StatusServiceUnavailable, "DatabaseError",
		fmt.Sprintf("Database error: db error: ERROR: value too long for type character varying(%d)", n),
	}
}

// refuse writes the answer that belongs to an error.
func refuse(w http.ResponseWriter, err error) {
	var a *answer
	var t errText
	switch {
	case errors.As(err, &a) && a.code == "":
		w.WriteHeader(a.status)
	case errors.As(err, &a):
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		data, _ := marshal(map[string]string{"error": a.code, "message": a.message}) // strings
		_, _ = w.Write(data)
	case errors.As(err, &t):
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(t))
	case errors.Is(err, errInvalidName):
		w.WriteHeader(http.StatusBadRequest)
	case errors.Is(err, errWritten):
	case errors.Is(err, context.Canceled):
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		refuse(w, &answer{http.StatusInternalServerError, "Internal", err.Error()})
	}
}
