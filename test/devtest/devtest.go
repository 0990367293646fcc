// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package devtest runs "ajour dev" as a process of its own and uses it as a user
// would: over HTTP, with a token, and through the command line. It serves the
// demo and the tests of the whole loop.
package devtest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Dev is a running "ajour dev".
type Dev struct {
	Client
	PID    int
	cmd    *exec.Cmd
	config string
	left   session
	exited chan struct{}
	err    error
}

// session is what "ajour dev" leaves for other programs.
type session struct {
	URL      string `json:"url"`
	Issuer   string `json:"issuer"`
	Password string `json:"password"`
	Token    string `json:"token"`
	PID      int    `json:"pid"`
}

// Options say how to start it.
type Options struct {
	// Program is the path of ajour.
	Program string
	// Args are further arguments of "ajour dev".
	Args []string
	// Env is added to the environment of this process, "NAME=VALUE".
	Env []string
	// Config is the folder for its session file.
	Config string
	// Log receives what it prints on stderr.
	Log io.Writer
}

// Start starts the program and returns when it is ready.
func Start(ctx context.Context, o Options) (*Dev, error) {
	d := &Dev{config: o.Config, exited: make(chan struct{})}
	d.cmd = exec.Command(o.Program, append([]string{"dev"}, o.Args...)...)
	d.cmd.Env = append(append(os.Environ(), o.Env...), "XDG_CONFIG_HOME="+o.Config)
	d.cmd.Stderr = o.Log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is ours to pass on
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start ajour dev: %w", err)
	}
	ready := make(chan struct{})
	go func() {
		defer close(d.exited)
		lines := bufio.NewScanner(stdout)
		for first := true; lines.Scan(); first = false {
			if first {
				close(ready)
			}
		}
		d.err = d.cmd.Wait()
	}()
	select {
	case <-ready:
	case <-d.exited:
		return nil, fmt.Errorf("ajour dev did not start: %w", d.err)
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), d.Kill())
	}
	left, err := find(o.Config, d.cmd.Process.Pid)
	if err != nil {
		return nil, errors.Join(err, d.Kill())
	}
	d.Client, d.PID, d.left = Client{URL: left.URL, API: left.URL, Token: left.Token}, left.PID, left
	return d, nil
}

// As returns a client that acts as a different user, who has the role trigger-build.
func (d *Dev) As(ctx context.Context, user string) (Client, error) {
	form := url.Values{"grant_type": {"password"}, "username": {user}, "password": {d.left.Password}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.left.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return Client{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := do(req, &answer); err != nil {
		return Client{}, err
	}
	return Client{URL: d.left.URL, API: d.left.URL, Token: answer.Token}, nil
}

// find reads what the process left. Others may have left theirs beside it.
func find(config string, pid int) (s session, err error) {
	files, err := filepath.Glob(filepath.Join(config, "ajour", "dev-*.json"))
	if err != nil {
		return s, err
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if err := json.Unmarshal(data, &s); err == nil && s.PID == pid {
			return s, nil
		}
	}
	return s, errors.New("ajour dev left no session")
}

// Stop ends the process as Ctrl-C does, and returns how it ended.
func (d *Dev) Stop() error {
	_ = d.cmd.Process.Signal(os.Interrupt)
	select {
	case <-d.exited:
		return d.err
	case <-time.After(15 * time.Second):
		return errors.Join(errors.New("ajour dev does not end"), d.Kill())
	}
}

// Kill ends the process at once, without any chance to clean up.
func (d *Dev) Kill() error {
	_ = d.cmd.Process.Kill()
	<-d.exited
	return nil
}

// Exited is closed when the process has ended.
func (d *Dev) Exited() <-chan struct{} { return d.exited }

// Main builds ajour, has a package's tests run with the path of the program, and returns their exit code.
func Main(m *testing.M, program *string) int {
	dir, err := os.MkdirTemp("", "ajour-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	*program = filepath.Join(dir, "ajour")
	if out, err := exec.Command(
		"go", "build", "-o", dir, "github.com/drogue-iot/ajour/cmd/ajour", "github.com/drogue-iot/ajour/cmd/ajour-step",
	).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build ajour: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
