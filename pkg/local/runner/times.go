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
	rest   []byte // what is to be read next

	times []byte // pairs that were read, and not reached yet
	read  int64  // bytes of the file of times that were read
	now   time.Time
}

func newTimed(l *logReader, path string, at int64) *timed {
	return &timed{output: l, lines: bufio.NewReaderSize(l, 64<<10), path: path, at: at, fresh: true}
}

// Read implements io.Reader.
func (t *timed) Read(p []byte) (int, error) {
	if len(t.rest) == 0 {
		line, err := t.lines.ReadSlice('\n')
		if len(line) == 0 {
			return 0, err
		}
		t.rest = t.rest[:0]
		if t.fresh {
			t.rest = append(t.timeOf(t.at).UTC().AppendFormat(t.rest, time.RFC3339Nano), ' ')
		}
		t.rest = append(t.rest, line...)
		t.at += int64(len(line))
		t.fresh = bytes.HasSuffix(line, []byte("\n"))
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

// Close implements io.Closer.
func (t *timed) Close() error { return t.output.Close() }

// timeOf returns when what stands at a place was written. It is asked from the beginning to the end.
func (t *timed) timeOf(at int64) time.Time {
	for {
		if len(t.times) < timeSize {
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
