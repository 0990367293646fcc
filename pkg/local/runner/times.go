// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

// timesFile says when the output of a step was written: pairs of a place in it and the time at which
// what stands there was written, 8 bytes each. Of the end of a long output, only the last time of its
// beginning is known.
type timesFile struct {
	file *os.File
	last time.Time
}

// timesEvery is how far apart the times are at least.
const timesEvery = 10 * time.Millisecond

const timeSize = 16

func timesPath(log string) string { return log + ".times" }

func newTimes(log string) (*timesFile, error) {
	f, err := os.OpenFile(timesPath(log), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open times of log: %w", err)
	}
	return &timesFile{file: f}, nil
}

// add says when the output that begins at a place was written. Times are a help for people: one that
// cannot be written is left out.
func (t *timesFile) add(at int, now time.Time) {
	if now.Sub(t.last) < timesEvery {
		return
	}
	t.last = now
	var pair [timeSize]byte
	binary.BigEndian.PutUint64(pair[:8], uint64(at)) //nolint:gosec // not negative
	binary.BigEndian.PutUint64(pair[8:], uint64(now.UnixNano()))
	_, _ = t.file.Write(pair[:])
}

// timed is the output of a step in which each line begins with its time, as the API server sends it.
type timed struct {
	output *logReader
	lines  *bufio.Reader
	path   string
	at     int64  // of the next byte in the output
	fresh  bool   // the next byte begins a line
	rest   []byte // what is to be read next, the end of made
	made   []byte

	times []byte // pairs that were read, and not reached yet
	read  int64  // bytes of the file of times that were read
	until int64  // no more of them are of the output before this
	now   time.Time
}

func newTimed(l *logReader, path string, at int64) *timed {
	return &timed{output: l, lines: bufio.NewReaderSize(l, 64<<10), path: path, at: at, fresh: true}
}

// Read implements io.Reader.
func (t *timed) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(t.rest) == 0 {
			if n > 0 && !t.whole() { // the rest may be long in coming
				return n, nil
			}
			if err := t.next(); err != nil {
				return n, err
			}
		}
		m := copy(p[n:], t.rest)
		n, t.rest = n+m, t.rest[m:]
	}
	return n, nil
}

// whole reports whether a whole line has been read.
func (t *timed) whole() bool {
	there, err := t.lines.Peek(t.lines.Buffered())
	return err == nil && bytes.IndexByte(there, '\n') >= 0
}

// next makes a line, or a piece of a long one, what is to be read.
func (t *timed) next() error {
	line, err := t.lines.ReadSlice('\n')
	if len(line) == 0 {
		return err
	}
	t.rest = t.made[:0]
	if t.fresh {
		t.rest = append(t.timeOf(t.at).UTC().AppendFormat(t.rest, time.RFC3339Nano), ' ')
	}
	t.rest = append(t.rest, line...)
	t.made = t.rest
	t.at += int64(len(line))
	t.fresh = bytes.HasSuffix(line, []byte("\n"))
	return nil
}

// LeftOut implements build.Shortened.
func (t *timed) LeftOut() *build.LeftOut { return t.output.LeftOut() }

// Close implements io.Closer.
func (t *timed) Close() error { return t.output.Close() }

// timeOf returns when what stands at a place was written. It is asked from the beginning to the end.
func (t *timed) timeOf(at int64) time.Time {
	for {
		if len(t.times) < timeSize {
			if at < t.until {
				return t.now
			}
			// A time is written before its output, and so are those of all that was read of that.
			t.until = at + 1 + int64(t.lines.Buffered())
			more, err := t.more()
			if err != nil || len(more) < timeSize {
				return t.now
			}
			t.times = more
		}
		if int64(binary.BigEndian.Uint64(t.times[:8])) > at { //nolint:gosec // was not negative
			return t.now
		}
		t.now = time.Unix(0, int64(binary.BigEndian.Uint64(t.times[8:timeSize]))) //nolint:gosec // likewise
		t.times = t.times[timeSize:]
	}
}

// more reads whole pairs that were written meanwhile.
func (t *timed) more() ([]byte, error) {
	f, err := os.Open(timesPath(t.path))
	if errors.Is(err, fs.ErrNotExist) { // of a version that wrote none
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Seek(t.read, io.SeekStart); err != nil {
		return nil, err
	}
	pairs, err := io.ReadAll(f)
	pairs = pairs[:len(pairs)/timeSize*timeSize]
	t.read += int64(len(pairs))
	return pairs, err
}
