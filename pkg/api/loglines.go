// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

// textLog returns a function that copies the output of steps as text, each under a heading unless it
// is the only one.
func textLog(w io.Writer, q logQuery) func(step string, output io.Reader) error {
	return func(step string, output io.Reader) error {
		if q.Step == "" {
			if _, err := fmt.Fprintf(w, "== %s\n", step); err != nil {
				return err
			}
		}
		if output == nil {
			_, err := io.WriteString(w, "[what this step printed is gone with its pod]\n")
			return err
		}
		if _, err := io.CopyN(io.Discard, output, q.offset); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		_, err := io.Copy(w, output)
		return err
	}
}

// maxLine bounds a line of a log, in bytes. What is beyond it is left out, and is in the text.
const maxLine = 64 << 10

// Line is a line of a log, or a piece of one that a lone carriage return ends: what comes next takes
// its place.
type Line struct {
	Step string `json:"step"`
	// Number counts the lines of the step from 1. It is not there in the tail of a log.
	Number int `json:"n,omitempty"`
	// Offset is how many bytes of the step's output are before the line: the offset to come back with.
	// It is not there in the tail of a log.
	Offset *int64 `json:"o,omitempty"`
	// Time is when it was printed, if times are asked for and known.
	Time time.Time `json:"t,omitzero"`
	Text string    `json:"line"`
	// Return says that a lone carriage return ended it.
	Return bool `json:"cr,omitempty"`
	// Cut says that it is longer than 64 KiB.
	Cut bool `json:"cut,omitempty"`
}

// LineEnd is the last line of a step's log, with the state of the step then.
type LineEnd struct {
	End      bool            `json:"end"`
	Step     string          `json:"step,omitempty"`
	State    build.StepState `json:"state,omitempty"`
	ExitCode int32           `json:"exitCode,omitempty"`
	// Truncated is what is left out of what the step printed; nil for nothing, and in the tail of a log.
	Truncated *build.LeftOut `json:"truncated,omitempty"`
	// Phase is that of the build.
	Phase build.Phase `json:"phase"`
}

// LineGone says that what a step printed is gone with its pod.
type LineGone struct {
	Step string `json:"step"`
	Gone bool   `json:"gone"`
}

// linesLog returns a function that sends the output of steps as JSON lines, and notes what is left out.
func linesLog(
	w io.Writer, q logQuery, leftOut map[string]*build.LeftOut,
) func(step string, output io.Reader) error {
	return func(step string, output io.Reader) error {
		if output == nil {
			return writeLine(w, LineGone{step, true})
		}
		l := &lines{input: bufio.NewReaderSize(output, maxLine), timed: q.Timestamps}
		out := bufio.NewWriterSize(w, maxLine)
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		for {
			if !l.whole() { // the rest of the next line may be long in coming
				if err := out.Flush(); err != nil {
					return err
				}
			}
			at, text, err := l.next()
			if errors.Is(err, io.EOF) {
				if s, ok := output.(build.Shortened); ok {
					leftOut[step] = s.LeftOut()
				}
				return out.Flush()
			}
			if err != nil {
				return errors.Join(err, out.Flush())
			}
			line := Line{Step: step, Time: text.time, Text: string(text.bytes), Return: text.lone, Cut: text.cut}
			if q.Tail == 0 {
				line.Number, line.Offset = at.line, &at.offset
			}
			if at.offset < q.offset {
				continue
			}
			if err := enc.Encode(line); err != nil {
				return err
			}
		}
	}
}

func writeLine(w io.Writer, v any) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(out.Bytes())
	return err
}

// endLines sends how the steps stand, or the one that was asked for, as the last lines of a log.
func (h *handler) endLines(
	ctx context.Context, w io.Writer, run *build.Run, q logQuery, leftOut map[string]*build.LeftOut,
) {
	run = h.settled(ctx, run, q)
	for _, s := range run.Steps {
		if q.Step != "" && q.Step != s.Name {
			continue
		}
		_ = writeLine(w, LineEnd{true, s.Name, s.State, s.ExitCode, leftOut[s.Name], run.Phase}) // or the client is gone
	}
	if len(run.Steps) == 0 {
		_ = writeLine(w, LineEnd{End: true, Phase: run.Phase})
	}
}

// settleWithin bounds how long the end of a log waits for the state: a container ends before Tekton says
// so.
const settleWithin = 10 * time.Second

// settled returns a build as it is when what was followed has ended, or as it is now.
func (h *handler) settled(ctx context.Context, run *build.Run, q logQuery) *build.Run {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if now, err := h.state.Find(build.RunName(run.ID)); err == nil {
			run = &now
		}
		step := slices.IndexFunc(run.Steps, func(s build.Step) bool { return s.Name == q.Step })
		if !q.Follow || !run.Active() || step >= 0 && !run.Steps[step].Completed.IsZero() {
			return run
		}
		select {
		case <-ctx.Done():
			return run
		case <-tick.C:
		}
	}
}

// lines takes the output of a step apart.
type lines struct {
	input *bufio.Reader
	timed bool

	at place
	// within says that the next piece belongs to a line that has begun, whose time is this.
	within bool
	time   time.Time
}

// place is that of a piece of the output.
type place struct {
	line   int
	offset int64
}

type piece struct {
	time      time.Time
	bytes     []byte
	lone, cut bool
}

// next returns the next piece, which is valid until the next call.
func (l *lines) next() (at place, p piece, err error) {
	if !l.within {
		l.at.line++
		if l.time, err = l.stamp(); err != nil {
			return at, p, err
		}
	}
	at, p.time = l.at, l.time
	for {
		b, err := l.input.ReadByte()
		if errors.Is(err, io.EOF) && l.at.offset > at.offset {
			break
		}
		if err != nil {
			return at, p, err
		}
		l.at.offset++
		if b == '\n' {
			l.within = false
			p.bytes = bytes.TrimSuffix(p.bytes, []byte("\r"))
			return at, p, nil
		}
		if b == '\r' && !l.newline() {
			l.within, p.lone = true, true
			return at, p, nil
		}
		if len(p.bytes) < maxLine {
			p.bytes = append(p.bytes, b)
		} else {
			p.cut = true
		}
	}
	l.within = false
	return at, p, nil
}

// whole reports whether a whole line is there.
func (l *lines) whole() bool {
	there, err := l.input.Peek(l.input.Buffered())
	return err == nil && bytes.IndexByte(there, '\n') >= 0
}

// newline reports whether the end of a line comes next.
func (l *lines) newline() bool {
	next, err := l.input.Peek(1)
	return err == nil && next[0] == '\n'
}

// stamp takes the time off a line, which is no part of the output.
func (l *lines) stamp() (time.Time, error) {
	if !l.timed {
		return time.Time{}, nil
	}
	var there []byte
	end := -1
	// What comes after a short line may be long in coming.
	for n := 1; end < 0; n = max(n+1, min(l.input.Buffered(), maxStamp)) {
		var err error
		if there, err = l.input.Peek(n); len(there) == 0 {
			return time.Time{}, err
		}
		if end = bytes.IndexAny(there, " \n"); end < 0 && (err != nil || n >= maxStamp) {
			return time.Time{}, nil //nolint:nilerr // as below
		}
	}
	t, err := time.Parse(time.RFC3339Nano, string(there[:end]))
	if err != nil || there[end] != ' ' { // a line of somebody else, such as the kubelet
		return time.Time{}, nil //nolint:nilerr // it is shown without a time
	}
	_, err = l.input.Discard(end + 1)
	return t, err
}

// maxStamp is the length of a time with nanoseconds and a zone, and of the blank after it.
const maxStamp = len("2026-11-25T10:01:12.123456789+01:00 ")
