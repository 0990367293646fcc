// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// File descriptors that process 1 gets from up.
const (
	fdLock = 3 + iota
	fdListener
)

// openDoor opens the listener of the proxy, in the network of the machine.
func openDoor(ctx context.Context) (door *os.File, port int, err error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, fmt.Errorf("open proxy: %w", err)
	}
	defer ln.Close()
	if door, err = ln.(*net.TCPListener).File(); err != nil {
		return nil, 0, fmt.Errorf("open proxy: %w", err)
	}
	return door, ln.Addr().(*net.TCPAddr).Port, nil
}

// startSandbox starts process 1 in namespaces of its own, and leaves it running.
// Ended is called if it ends while this process is there to see it.
func startSandbox(l layout, door *os.File, port int, ended func()) (*sandbox, error) {
	lock, err := os.OpenFile(l.lockFile(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock cluster: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("lock cluster: somebody else starts it: %w", err)
	}
	log, err := os.Create(filepath.Join(l.logs(), "sandbox.log"))
	if err != nil {
		return nil, fmt.Errorf("make log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command("/proc/self/exe", "reap")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{fdLock - 3: lock, fdListener - 3: door}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true, Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC,
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start sandbox: %w", err)
	}
	s := &sandbox{cmd.Process.Pid, port}
	if err := os.WriteFile(l.path("sandbox"), fmt.Appendf(nil, "%d %d\n", s.pid, s.port), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("start sandbox: %w", err), cmd.Process.Kill())
	}
	go func() {
		_ = cmd.Wait() // its log says why
		ended()
	}()
	return s, nil
}

// reap is process 1: it starts the supervisor and waits for every process that
// lost its parent. The sandbox ends with the supervisor.
func reap() error {
	door := os.NewFile(fdListener, "listener")
	cmd := exec.Command("/proc/self/exe", "supervise")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{door}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start supervisor: %w", err)
	}
	for {
		pid, err := syscall.Wait4(-1, nil, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid == cmd.Process.Pid {
			return errors.New("the supervisor ended")
		}
	}
}

// enclose makes the mounts and the network of the sandbox. It runs inside.
func enclose(ctx context.Context, l layout) error {
	for _, args := range [][]string{
		{"mount", "--make-rprivate", "/"},
		{"mount", "--make-rshared", "/"},
		{"mount", "-t", "proc", "proc", "/proc"},
		{"mount", "-t", "tmpfs", "tmpfs", "/run"},
		// Volumes of the hostpath provisioner are made below /tmp.
		{"mount", "--bind", l.path("tmp"), "/tmp"},
		{"mount", "-t", "tmpfs", "tmpfs", "/var/lib/cni"},
		{"ip", "link", "set", "lo", "up"},
		// There is no "dummy" device on every kernel; a bridge is on all.
		{"ip", "link", "add", "knode", "type", "bridge"},
		{"ip", "addr", "add", nodeIP + "/24", "dev", "knode"},
		{"ip", "link", "set", "knode", "up"},
		// Without a default route, the API server would not find webhooks.
		{"ip", "route", "add", serviceCIDR, "dev", "knode"},
		{"sysctl", "-qw", "net.ipv4.ip_forward=1"},
		{"sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1"},
	} {
		if args[len(args)-1] == "/var/lib/cni" {
			if err := os.MkdirAll("/var/lib/cni", 0o755); err != nil {
				return fmt.Errorf("make mount point: %w", err)
			}
		}
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// down kills process 1, and so everything, and removes what is left: the data
// folder, and control groups, which are empty by then.
func down(ctx context.Context, l layout) error {
	s, err := l.running()
	if err != nil {
		return err
	}
	if s != nil {
		if err := syscall.Kill(s.pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("end cluster: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return retry(ctx, func(context.Context) error {
		if s, err := l.running(); err != nil || s != nil {
			return errors.Join(err, errors.New("the cluster still runs"))
		}
		if err := removeCgroups(); err != nil {
			return err
		}
		return os.RemoveAll(l.data)
	})
}

// removeCgroups removes the groups that containerd makes for pods, the inner ones
// first. A group that holds a process cannot be removed.
func removeCgroups() error {
	roots, err := filepath.Glob("/sys/fs/cgroup/*/k8s.io")
	if err != nil {
		return err
	}
	var groups []string
	for _, root := range append(roots, "/sys/fs/cgroup/k8s.io") {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				groups = append(groups, path)
			}
			return nil // it went away meanwhile
		})
		if err != nil {
			return err
		}
	}
	for _, g := range slices.Backward(groups) {
		if err := syscall.Rmdir(g); err != nil && !errors.Is(err, syscall.ENOENT) {
			return fmt.Errorf("remove control group %s: %w", g, err)
		}
	}
	return nil
}

// retry calls f until it succeeds or the context ends, when it returns the error
// of the last call.
func retry(ctx context.Context, f func(context.Context) error) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}
