// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package devtest runs "ajour dev" as a process of its own and uses it as a user
// would: over HTTP, with a token, and through the command line. It serves the
// demo and the tests of the whole loop.
package devtest

import (
	"bufio"
	"bytes"
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
	"time"
)

// Dev is a running "ajour dev".
type Dev struct {
	Session
	cmd    *exec.Cmd
	config string
	exited chan struct{}
	err    error
}

// Session is what "ajour dev" leaves for other programs.
type Session struct {
	URL   string `json:"url"`
	Token string `json:"token"`
	PID   int    `json:"pid"`
}

// Options say how to start it.
type Options struct {
	// Program is the path of ajour.
	Program string
	// Args are further arguments of "ajour dev".
	Args []string
	// Config is the folder for its session file.
	Config string
	// Log receives what it prints on stderr.
	Log io.Writer
}

// Start starts the program and returns when it is ready.
func Start(ctx context.Context, o Options) (*Dev, error) {
	d := &Dev{config: o.Config, exited: make(chan struct{})}
	d.cmd = exec.Command(o.Program, append([]string{"dev"}, o.Args...)...)
	d.cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+o.Config)
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
	if d.Session, err = session(o.Config, d.cmd.Process.Pid); err != nil {
		return nil, errors.Join(err, d.Kill())
	}
	return d, nil
}

// session reads what the process left. Others may have left theirs beside it.
func session(config string, pid int) (s Session, err error) {
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

// Call makes an HTTP call with the session's token, and decodes its answer into
// the value unless that is nil. An answer other than 2xx is an error.
func (d *Dev) Call(ctx context.Context, method, path string, body, into any) error {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, d.URL+path, in)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+d.Token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return &StatusError{res.StatusCode, strings.TrimSpace(string(data))}
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(data, into)
}

// StatusError is an answer other than 2xx.
type StatusError struct {
	Status int
	Body   string
}

func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Body) }

// Paths of the APIs.
const (
	Apps   = "/api/registry/v1alpha1/apps"
	Builds = "/api/builds/v1alpha1"
)

// AppPath returns the registry's path of an application.
func AppPath(app string) string { return Apps + "/" + url.PathEscape(app) }

// DevicePath returns the registry's path of a device.
func DevicePath(app, device string) string {
	return AppPath(app) + "/devices/" + url.PathEscape(device)
}

// Object is what is read of a Drogue object.
type Object struct {
	Status struct {
		Firmware struct {
			Conditions []Condition `json:"conditions"`
		} `json:"firmware"`
		Build Record `json:"firmwareBuild"`
	} `json:"status"`
}

// Condition is one entry of status.firmware.conditions.
type Condition struct {
	Type               string    `json:"type"`
	Status             string    `json:"status"`
	Reason             string    `json:"reason,omitempty"`
	Message            string    `json:"message,omitempty"`
	LastTransitionTime time.Time `json:"lastTransitionTime"`
}

// Record is status.firmwareBuild.
type Record struct {
	Build    string `json:"build"`
	Phase    string `json:"phase"`
	Reason   string `json:"reason"`
	Message  string `json:"message"`
	Commit   string `json:"commit"`
	Artifact *struct {
		Reference, Digest, Version, SHA256 string
		Size                               int64
	} `json:"artifact"`
}

// Final reports whether the recorded build has ended.
func (r Record) Final() bool {
	return r.Phase == "Succeeded" || r.Phase == "Failed" || r.Phase == "Cancelled"
}

// Condition returns the condition of a type, the zero one if there is none.
func (o Object) Condition(kind string) Condition {
	for _, c := range o.Status.Firmware.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return Condition{}
}

// Watch reads an object until done, and returns it as it is then. See is called
// with every state that differs from the one before.
func (d *Dev) Watch(ctx context.Context, path string, see func(Object), done func(Object) bool) (Object, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last []byte
	for {
		var raw json.RawMessage
		if err := d.Call(ctx, http.MethodGet, path, nil, &raw); err != nil {
			return Object{}, err
		}
		if !bytes.Equal(raw, last) {
			last = raw
			var o Object
			if err := json.Unmarshal(raw, &o); err != nil {
				return o, err
			}
			if see != nil {
				see(o)
			}
			if done(o) {
				return o, nil
			}
		}
		select {
		case <-ctx.Done():
			return Object{}, fmt.Errorf("%w: last seen: %s", ctx.Err(), last)
		case <-tick.C:
		}
	}
}
