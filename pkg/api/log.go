// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

const (
	// maxReading is how many logs and files one caller may read at the same time: each holds a
	// connection to the cluster, or to the OCI registry.
	maxReading = 16
	// writeTimeout is how long a client may take to accept a piece of a log.
	writeTimeout = 30 * time.Second
)

// logParams are the parameters of a log.
var logParams = []string{"step", "offset", "tail", "timestamps", "follow", "download"}

// logQuery is what is asked for of a log.
type logQuery struct {
	build.LogOptions
	// offset is how many bytes are left out of the beginning of a step.
	offset   int64
	download bool
	// lines asks for a JSON object for each line.
	lines bool
}

// logQuery reads the parameters of a log.
func (c *call) logQuery(run *build.Run) (q logQuery, err error) {
	q.lines = acceptsLines(c.Header.Get("Accept"))
	var failed [3]error
	q.Follow, failed[0] = c.flag("follow")
	q.Timestamps, failed[1] = c.flag("timestamps")
	q.download, failed[2] = c.flag("download")
	if err := cmp.Or(failed[:]...); err != nil {
		return q, err
	}
	offset, err := c.number("offset", 0)
	if err != nil {
		return q, err
	}
	if q.Tail, err = c.number("tail", 0); err != nil {
		return q, err
	}
	q.Step, q.offset = c.query.Get("step"), int64(offset)
	switch {
	case q.Step != "" && !slices.ContainsFunc(run.Steps, func(s build.Step) bool { return s.Name == q.Step }) &&
		len(run.Steps) > 0:
		names := make([]string, len(run.Steps))
		for i, s := range run.Steps {
			names[i] = s.Name
		}
		return q, invalid("The build has no step %q: use one of %s", q.Step, strings.Join(names, ", "))
	case offset > 0 && (q.Step == "" || q.Tail > 0):
		return q, invalid("The parameter offset is for one step: set step, and no tail")
	case offset > 0 && q.Timestamps && !q.lines:
		return q, invalid("The parameter offset counts bytes without times: ask for application/x-ndjson")
	default:
		return q, nil
	}
}

// acceptsLines reports whether a caller prefers JSON lines to text.
func acceptsLines(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		kind, _, err := mime.ParseMediaType(part)
		if err == nil && kind == typeLines {
			return true
		}
	}
	return false
}

const typeLines = "application/x-ndjson"

// getLog sends what the steps of a build printed, as text or as JSON lines, and continues until the
// end of the build if that is asked for.
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
	q, err := c.logQuery(run)
	if err != nil {
		return err
	}
	if err := h.beginReading(c); err != nil {
		return err
	}
	defer h.reading.remove(c.principal.Subject)
	began := false
	begin := func() { began = true; beginLog(w, run, q) }
	out := flushing{w, http.NewResponseController(w)}
	steps, leftOut := textLog(out, q), map[string]*build.LeftOut{}
	if q.lines {
		steps = linesLog(out, q, leftOut)
	}
	err = h.runs.Log(c.Context(), run.ID, q.LogOptions, func(step string, output io.Reader) error {
		if !began {
			begin()
		}
		return steps(step, output)
	})
	switch {
	case err == nil:
		if !began {
			begin()
		}
		if q.lines {
			h.endLines(c.Context(), out, run, q, leftOut)
		}
		return nil
	case began && c.Context().Err() == nil:
		h.Log.WarnContext(c.Context(), "log is incomplete", "build", run.ID, "error", err)
		panic(http.ErrAbortHandler) // so that the client sees that it is
	case began:
		return nil // the client is gone
	case errors.Is(err, build.ErrLogGone):
		return problem(http.StatusGone, "LogGone", "The build printed nothing, or what it printed is gone with its pods")
	default:
		return err
	}
}

// beginReading counts one more log or file that a caller reads.
func (h *handler) beginReading(c *call) error {
	if h.reading.add(c.principal.Subject, maxReading) {
		return nil
	}
	return problem(
		http.StatusTooManyRequests, "TooManyRequests",
		"You read "+strconv.Itoa(maxReading)+" logs and files already: end one of them",
	)
}

// beginLog answers that there is a log.
func beginLog(w http.ResponseWriter, run *build.Run, q logQuery) {
	kind, ending := "text/plain; charset=utf-8", ".log"
	if q.lines {
		kind, ending = typeLines, ".ndjson"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if q.download {
		name := run.Object.Application + "-" + run.ID[len(run.ID)-minShort:] + ending
		w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	}
	w.WriteHeader(http.StatusOK)
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

// add reports whether the caller may open one more, of so many.
func (c *counter) add(caller string, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	if c.of[caller] >= most {
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
