// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/drogue-iot/ajour/pkg/build"
)

// halfLog bounds the beginning, and the end, of the output that is stored of a step. What is
// between them is left out: the error mostly is at the end.
const halfLog = 8 << 20

// leftOut is what stands between them.
const leftOut = "\n[%d bytes are left out here]\n"

// maxDigits is how many digits a number of bytes has at most.
const maxDigits = 19

// logFile is the output of a step. The end is in memory until the step ends.
type logFile struct {
	mu      sync.Mutex
	file    *os.File
	times   *timesFile
	left    int // bytes that the beginning may still have
	end     []byte
	dropped int64
}

func newLog(path string) (*logFile, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // below the folder of a run
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	times, err := newTimes(path)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &logFile{file: f, times: times, left: halfLog}, nil
}

func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(p), l.left)
	if n > 0 {
		l.times.add(halfLog-l.left, time.Now())
	}
	l.left -= n
	if l.end = append(l.end, p[n:]...); len(l.end) > 2*halfLog {
		l.shorten()
	}
	_, err := l.file.Write(p[:n])
	return len(p), err
}

// shorten leaves of the end what is stored of it.
func (l *logFile) shorten() {
	if rest := len(l.end) - halfLog; rest > 0 {
		l.dropped += int64(rest)
		l.end = append(l.end[:0], l.end[rest:]...)
	}
}

// Close writes the end.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shorten()
	var err error
	if l.dropped > 0 {
		_, err = fmt.Fprintf(l.file, leftOut, l.dropped)
	}
	_, failed := l.file.Write(l.end)
	return errors.Join(err, failed, l.file.Close(), l.times.file.Close())
}

// Log implements tekton.Logs.
func (r *Runner) Log(ctx context.Context, tr *v1.TaskRun, step string, o build.LogOptions) (io.ReadCloser, error) {
	path := filepath.Join(r.runDir(tr.Labels[labelPipelineRun]), "logs", tr.Labels[labelPipelineTask], step+".log")
	l := &logReader{ctx: ctx, runner: r, path: path, taskRun: tr.Name, follow: o.Follow}
	var err error
	if o.Tail > 0 {
		if l.skip, err = beforeTail(path, o.Tail); err != nil {
			return nil, err
		}
	}
	if o.Timestamps {
		return newTimed(l, path, l.skip), nil
	}
	return l, nil
}

type logReader struct {
	ctx     context.Context //nolint:containedctx // bounds the reading, as with a request's body
	runner  *Runner
	path    string
	taskRun string
	follow  bool
	skip    int64 // bytes that are not read of the beginning
	file    *os.File
}

func (l *logReader) Read(p []byte) (int, error) {
	for {
		n, err := l.read(p)
		if n > 0 || (err != nil && !errors.Is(err, io.EOF)) || !l.follow {
			return n, err
		}
		tr, err := get[v1.TaskRun](l.runner.store, bucketTaskRuns, l.taskRun)
		if err != nil {
			return 0, io.EOF
		}
		if tr.IsDone() {
			return l.read(p)
		}
		t := time.NewTimer(100 * time.Millisecond)
		select {
		case <-l.ctx.Done():
			t.Stop()
			return 0, l.ctx.Err()
		case <-t.C:
		}
	}
}

// read reads what is there; a log that does not exist yet is empty.
func (l *logReader) read(p []byte) (int, error) {
	if l.file == nil {
		f, err := os.Open(l.path)
		if errors.Is(err, fs.ErrNotExist) {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		l.file = f
		if _, err := f.Seek(l.skip, io.SeekStart); err != nil {
			return 0, err
		}
	}
	return l.file.Read(p)
}

// LeftOut implements build.Shortened.
func (l *logReader) LeftOut() *build.LeftOut {
	if l.file == nil || l.skip > 0 { // the offsets are not those of the whole
		return nil
	}
	note := make([]byte, len(leftOut)+maxDigits)
	n, err := l.file.ReadAt(note, halfLog)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	var dropped int64
	if _, err := fmt.Sscanf(string(note[:n]), leftOut, &dropped); err != nil {
		return nil
	}
	return &build.LeftOut{halfLog, dropped}
}

func (l *logReader) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// beforeTail returns where the last lines of a log begin.
func beforeTail(path string, lines int) (int64, error) {
	data, err := os.ReadFile(path) //nolint:gosec // below the folder of a run
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read log: %w", err)
	}
	at := len(bytes.TrimSuffix(data, []byte("\n")))
	for range lines {
		if at = bytes.LastIndexByte(data[:max(at, 0)], '\n'); at < 0 {
			return 0, nil
		}
	}
	return int64(at) + 1, nil
}
