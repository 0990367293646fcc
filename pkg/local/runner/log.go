// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
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
)

// halfLog bounds the beginning, and the end, of the output that is stored of a step. What is
// between them is left out: the error mostly is at the end.
const halfLog = 8 << 20

// logFile is the output of a step. The end is in memory until the step ends.
type logFile struct {
	mu      sync.Mutex
	file    *os.File
	left    int // bytes that the beginning may still have
	end     []byte
	dropped int64
}

func newLog(path string) (*logFile, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // below the folder of a run
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return &logFile{file: f, left: halfLog}, nil
}

func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(p), l.left)
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
		_, err = fmt.Fprintf(l.file, "\n[%d bytes are left out here]\n", l.dropped)
	}
	_, failed := l.file.Write(l.end)
	return errors.Join(err, failed, l.file.Close())
}

// Log returns what a step printed. If follow is set, reading goes on until the
// TaskRun has ended.
func (r *Runner) Log(ctx context.Context, tr *v1.TaskRun, step string, follow bool) (io.ReadCloser, error) {
	path := filepath.Join(r.runDir(tr.Labels[labelPipelineRun]), "logs", tr.Labels[labelPipelineTask], step+".log")
	return &logReader{ctx: ctx, runner: r, path: path, taskRun: tr.Name, follow: follow}, nil
}

// Tail implements tekton.Logs.
func (r *Runner) Tail(ctx context.Context, tr *v1.TaskRun, step string) (io.ReadCloser, error) {
	return r.Log(ctx, tr, step, false)
}

type logReader struct {
	ctx     context.Context //nolint:containedctx // bounds the reading, as with a request's body
	runner  *Runner
	path    string
	taskRun string
	follow  bool
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
	}
	return l.file.Read(p)
}

func (l *logReader) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
