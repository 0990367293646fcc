// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package publishtest holds what the tests of publishing share: servers that fail in a
// chosen way, and the reason of a failure.
package publishtest

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Reason returns the reason and the message of a [*build.StepError]; "" for no error. An
// error of any other type fails the test.
func Reason(t *testing.T, err error) (build.Reason, string) {
	t.Helper()
	if err == nil {
		return "", ""
	}
	var step *build.StepError
	if !errors.As(err, &step) {
		t.Fatalf("%T: %v", err, err)
	}
	return step.Reason, step.Message
}

// Faulty returns a middleware that answers the first requests that match by fail.
func Faulty(times int64, match func(*http.Request) bool, fail http.HandlerFunc) func(http.Handler) http.Handler {
	var n atomic.Int64
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if match(r) && n.Add(1) <= times {
				fail(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// Method matches requests of one HTTP method.
func Method(m string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == m }
}

// Status answers with a status and headers, "NAME: VALUE" each.
func Status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range headers {
			key, value, _ := strings.Cut(h, ": ")
			w.Header().Set(key, value)
		}
		w.WriteHeader(code)
	}
}

// Cut reads a little of an upload, and ends the connection.
func Cut(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, 1000)
	panic(http.ErrAbortHandler)
}
