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

// maxLog bounds the output that is stored of a step.
const maxLog = 16 << 20

// logFile keeps the output of a step up to the limit, and swallows the rest.
type logFile struct {
	mu   sync.Mutex
	file *os.File
	left int
}

func newLog(path string) (*logFile, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // below the folder of a run
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return &logFile{file: f, left: maxLog}, nil
}

func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left <= 0 {
		return len(p), nil
	}
	keep := p[:min(len(p), l.left)]
	if l.left -= len(keep); l.left == 0 {
		keep = append(append([]byte{}, keep...), fmt.Sprintf("\n[output after %d bytes is dropped]\n", maxLog)...)
	}
	_, err := l.file.Write(keep)
	return len(p), err
}

func (l *logFile) Close() error { return l.file.Close() }

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
