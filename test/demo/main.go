// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command demo shows the whole loop: it starts "ajour dev", describes on an
// application how its firmware is built from a git repository, triggers the
// build over HTTP, shows its progress as the Drogue registry has it, and prints
// the artifact.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/drogue-iot/ajour/pkg/git/gittest"
	"github.com/drogue-iot/ajour/test/devtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	program := flag.String("ajour", "bin/ajour", "`path` of the program ajour")
	source := flag.String("source", "test/firmware/gateway", "`folder` with the source of the firmware")
	once := flag.Bool("once", false, "end after the build instead of staying up")
	flag.Parse()
	err := run(ctx, os.Stdout, *program, *source, *once)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

const app = "gateway"

func run(ctx context.Context, out io.Writer, program, source string, once bool) (err error) {
	started := time.Now()
	dir, err := os.MkdirTemp("", "ajour-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	repository, commit, err := serveSource(ctx, dir, source)
	if err != nil {
		return fmt.Errorf("make repository: %w", err)
	}
	fmt.Fprintf(out, "Source   %s at %s\n", repository, commit[:7])
	cache, err := exec.CommandContext(ctx, "go", "env", "GOCACHE").Output()
	if err != nil {
		return fmt.Errorf("find Go's cache: %w", err)
	}
	config, err := configDir(dir, once)
	if err != nil {
		return err
	}
	dev, err := devtest.Start(ctx, devtest.Options{
		Program: program, Config: config, Log: os.Stderr,
		Args: []string{
			"--listen=127.0.0.1:0", "--data=" + filepath.Join(dir, "data"), "--engine=none",
			"--builder=golang=go", "--builder-env=GOCACHE=" + strings.TrimSpace(string(cache)),
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Stop()) }()
	fmt.Fprintf(out, "Ajour    %s\n", dev.URL)
	if err := buildAndShow(ctx, out, dev, repository, commit); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nFrom the start of the program to the artifact: %.1f s\n", time.Since(started).Seconds())
	if once {
		return nil
	}
	fmt.Fprintf(out, "\nAjour stays up until Ctrl-C. In another terminal: %s get builds\n", program)
	select {
	case <-ctx.Done():
	case <-dev.Exited():
	}
	return nil
}

// configDir is where the session goes: for a demo that stays up, where the
// commands search for it.
func configDir(dir string, once bool) (string, error) {
	if once {
		return dir, nil
	}
	return os.UserConfigDir()
}

// serveSource makes a repository of the folder and serves it on this machine.
func serveSource(ctx context.Context, dir, source string) (url, commit string, err error) {
	root := filepath.Join(dir, "git")
	if err := os.Mkdir(root, 0o700); err != nil {
		return "", "", err
	}
	s, err := gittest.New(ctx, root)
	if err != nil {
		return "", "", err
	}
	repo, err := s.Create(ctx, app)
	if err != nil {
		return "", "", err
	}
	if commit, err = repo.Commit(ctx, "main", os.DirFS(source)); err != nil {
		return "", "", err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }()
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	return "http://" + ln.Addr().String() + repo.Path(), commit, nil
}

// application describes the build. Its tag is the commit, which is what the
// firmware reports as its version; a description that should not be built
// before it is asked for names the trigger "manual".
func application(repository, commit string) map[string]any {
	return map[string]any{
		"metadata": map[string]any{"name": app},
		"spec": map[string]any{"firmware": map[string]any{"container": map[string]any{
			"image": app + ":" + commit[:7],
			"build": map[string]any{
				"image":    "golang:1.26",
				"source":   map[string]any{"git": map[string]any{"uri": repository, "rev": "main", "project": "."}},
				"args":     []string{"run", "./build"},
				"artifact": map[string]any{"path": "firmware.bin"},
				"timeout":  "10m",
				"triggers": []string{"manual"},
			},
		}}},
	}
}

func buildAndShow(ctx context.Context, out io.Writer, dev *devtest.Dev, repository, commit string) error {
	if err := dev.Call(ctx, http.MethodPost, devtest.Apps, application(repository, commit), nil); err != nil {
		return fmt.Errorf("create application: %w", err)
	}
	var accepted struct{ ID string }
	if err := dev.Call(ctx, http.MethodPost, devtest.Builds+"/apps/"+app+"/trigger", nil, &accepted); err != nil {
		return fmt.Errorf("trigger build: %w", err)
	}
	fmt.Fprintf(out, "Build    %s\n\n", accepted.ID)
	shown := ""
	see := func(o devtest.Object) {
		line := fmt.Sprintf("  %8s  %s", o.Condition("BuildProgress").Message, o.Condition("BuildStatus").Reason)
		if o.Status.Build.Build == accepted.ID && line != shown {
			shown = line
			fmt.Fprintln(out, line)
		}
	}
	done := func(o devtest.Object) bool { return o.Status.Build.Build == accepted.ID && o.Status.Build.Final() }
	o, err := dev.Watch(ctx, devtest.AppPath(app), see, done)
	if err != nil {
		return fmt.Errorf("watch build: %w", err)
	}
	if o.Status.Build.Artifact == nil {
		return fmt.Errorf("the build ended as %s: %s", o.Status.Build.Reason, o.Status.Build.Message)
	}
	a := o.Status.Build.Artifact
	fmt.Fprintf(
		out,
		"\nArtifact %s\nDigest   %s\nSize     %d bytes\nSHA-256  %s\nVersion  %s\n\n"+
			"Conditions of the application in the registry:\n",
		a.Reference,
		a.Digest,
		a.Size,
		a.SHA256,
		a.Version,
	)
	for _, c := range o.Status.Firmware.Conditions {
		fmt.Fprintf(
			out, "  %-14s %-8s %-10s %-8s %s\n", c.Type, c.Status, c.Reason, c.Message,
			c.LastTransitionTime.Format(time.RFC3339),
		)
	}
	return nil
}
