// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

const (
	// maxFollowed is how many logs one caller may follow at the same time: each holds a
	// connection to the cluster.
	maxFollowed = 16
	// writeTimeout is how long a client may take to accept a piece of a log.
	writeTimeout = 30 * time.Second
)

// getLog sends what the steps of a build printed, as plain text, and continues until the end
// of the build if the query has follow=true.
func (h *handler) getLog(w http.ResponseWriter, c *call) error {
	run, _, err := h.find(c)
	if err != nil {
		return err
	}
	if run.Secret { // what the builder printed may show it
		if err := h.writes(c, build.ObjectRef{Application: run.Object.Application}); err != nil {
			return err
		}
	}
	follow, err := strconv.ParseBool(c.URL.Query().Get("follow"))
	if err != nil && c.URL.Query().Has("follow") {
		return problem(http.StatusBadRequest, "InvalidRequest", "The parameter follow is neither true nor false")
	}
	if follow {
		if !h.followed.add(c.principal.Subject) {
			return problem(
				http.StatusTooManyRequests, "TooManyRequests",
				"You follow "+strconv.Itoa(maxFollowed)+" logs already: end one of them",
			)
		}
		defer h.followed.remove(c.principal.Subject)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	if err := h.runs.Log(c.Context(), c.id, flushing{w, http.NewResponseController(w)}, follow); err != nil &&
		c.Context().Err() == nil {
		h.Log.WarnContext(c.Context(), "log is incomplete", "build", c.id, "error", err)
		panic(http.ErrAbortHandler) // so that the client sees that it is
	}
	return nil
}

// flushing sends each piece at once. The log as a whole has no deadline, each piece has.
type flushing struct {
	io.Writer
	control *http.ResponseController
}

func (f flushing) Write(p []byte) (int, error) {
	_ = f.control.SetWriteDeadline(time.Now().Add(writeTimeout)) // a recorder of a test has none
	n, err := f.Writer.Write(p)
	return n, errors.Join(err, f.control.Flush())
}

// counter counts what each caller has open. The zero value is ready to use.
type counter struct {
	mu sync.Mutex
	of map[string]int
}

// add reports whether the caller may open one more.
func (c *counter) add(caller string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	if c.of[caller] >= maxFollowed {
		return false
	}
	c.of[caller]++
	return true
}

func (c *counter) remove(caller string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[caller]--; c.of[caller] == 0 {
		delete(c.of, caller)
	}
}
