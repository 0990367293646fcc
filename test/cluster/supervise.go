// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// supervise makes the sandbox and runs every part in itand restarts each when it
// ends, as an init system does on a real node.
func supervise(ctx context.Context, l layout) error {
	if err := enclose(ctx, l); err != nil {
		return err
	}
	ln, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return fmt.Errorf("open proxy: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	server := &http.Server{Handler: proxy(), ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // a part that cannot be started ends all
	g.Go(func() error { return server.Serve(ln) })
	for _, p := range parts(l) {
		g.Go(func() error { return keep(ctx, l, p) })
	}
	g.Go(func() error { return openVolumes(ctx) })
	return g.Wait()
}

// keep runs a part until the context ends.
func keep(ctx context.Context, l layout, p part) error {
	log, err := os.OpenFile(filepath.Join(l.logs(), p.name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("make log: %w", err)
	}
	defer log.Close()
	for ctx.Err() == nil {
		cmd := exec.CommandContext(ctx, p.command[0], p.command[1:]...)
		cmd.Stdout, cmd.Stderr, cmd.Env = log, log, append(os.Environ(), p.env...)
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("start %s: %w", p.name, err)
		}
		if err := os.WriteFile("/run/"+p.name+".pid", []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
			return fmt.Errorf("start %s: %w", p.name, err)
		}
		err := cmd.Wait()
		fmt.Fprintf(log, "== %s ended: %v\n", p.name, err)
		select {
		case <-ctx.Done():
		case <-time.After(300 * time.Millisecond):
		}
	}
	return nil
}

// openVolumes lets pods that are not root write to their volumes: the
// provisioner makes folders for root alone, and fsGroup does not change them.
func openVolumes(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		volumes, err := filepath.Glob("/tmp/hostpath_pv/*")
		if err != nil {
			return err
		}
		for _, v := range volumes {
			if err := os.Chmod(v, 0o777); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("open volume: %w", err)
			}
		}
	}
}

// kill kills one part of the running cluster, whose supervisor restarts it.
func kill(l layout, name string) error {
	s, err := l.running()
	if err != nil {
		return err
	}
	if s == nil {
		return errNotRunning
	}
	// The pid file is in the sandbox; its root is seen through process 1.
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/run/%s.pid", s.pid, filepath.Base(name)))
	if err != nil {
		return fmt.Errorf("find part %s: %w", name, err)
	}
	status, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		return err
	}
	for _, file := range status {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // ended meanwhile
		}
		for line := range strings.Lines(string(text)) {
			// The last number is the pid in the innermost namespace.
			pids := strings.Fields(line)
			if len(pids) != 3 || pids[0] != "NSpid:" || pids[2] != string(data) || !inSandbox(s, pids[1]) {
				continue
			}
			pid, err := strconv.Atoi(pids[1])
			if err != nil {
				return fmt.Errorf("find part %s: %w", name, err)
			}
			return syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return fmt.Errorf("part %s does not run", name)
}

func inSandbox(s *sandbox, pid string) bool {
	a, errA := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", s.pid))
	b, errB := os.Readlink("/proc/" + pid + "/ns/pid")
	return errA == nil && errB == nil && a == b
}
