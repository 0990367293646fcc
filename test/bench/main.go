// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command bench measures the steps that are ours side by side with the tools that
// people would use in their place, against servers on this machine by HTTPS: fetch with
// "git clone --depth 1", publish with "oras push" and "crane push". It prints ratios of
// medians; the two sides take turns, so that a busy machine slows both. It also measures how
// long "ajour dev" takes to start when it has many builds.
//
//	make bench                    takes some minutes; run it on a machine that does nothing else
//	TMPDIR=/dev/shm make bench    keeps the disk out of it, with 8 GB of memory
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// What is promised.
const (
	maxRatio  = 1.1
	maxMemory = 64 << 10 // KiB
	maxStart  = 30 * time.Millisecond
)

func main() {
	only := flag.String("only", "", "measure what has this in its name only")
	away := flag.Duration("outage", time.Minute, "how `long` the broker is away for the registry's topic")
	flag.Parse()
	if err := run(context.Background(), *only, *away, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// bench is a folder with the programs that are compared.
type bench struct {
	dir  string
	only string
	away time.Duration
	out  io.Writer
}

func run(ctx context.Context, only string, away time.Duration, out io.Writer) error {
	dir, err := os.MkdirTemp("", "ajour-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir, only, away, out}
	if err := b.writeCertificate(); err != nil {
		return err
	}
	flags := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", dir + "/"}
	for _, args := range [][]string{
		append(slices.Clone(flags), "./cmd/fetch", "./cmd/publish", "./cmd/ajour", "./cmd/ajour-step"),
		append(
			[]string{"build", "-C", "test/bench/tools", "-trimpath", "-o", dir + "/"}, "oras.land/oras/cmd/oras",
			"github.com/google/go-containerregistry/cmd/crane",
		),
	} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %v: %w: %s", args, err, text)
		}
	}
	fmt.Fprintf(out, "%-34s %5s %10s %10s %7s  %s\n", "", "runs", "ajour", "other", "ratio", "limit")
	return errors.Join(
		b.start(ctx),
		b.dev(ctx),
		b.fetch(ctx),
		b.publish(ctx),
		b.callers(ctx),
		b.hooks(ctx),
		b.streams(ctx),
		b.console(ctx),
		b.source(ctx),
		b.outage(ctx),
	)
}

func (b *bench) skips(name string) bool { return !strings.Contains(name, b.only) }

// side is one of two that are compared. Prepare runs before each measurement, and is
// not measured.
type side struct {
	prepare func() error
	command func() []string
}

// measure runs a command and returns how long it took, and its peak memory in KiB.
func (b *bench) measure(ctx context.Context, argv []string) (time.Duration, int64, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + b.dir,
		"GIT_CONFIG_NOSYSTEM=1",
		"SSL_CERT_FILE=" + b.bundle(),
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	done, peak := make(chan struct{}), make(chan int64)
	go watch(cmd.Process.Pid, done, peak)
	err := cmd.Wait()
	took := time.Since(began)
	close(done)
	memory := <-peak
	if err != nil {
		return 0, 0, fmt.Errorf("%v: %w: %s", argv, err, out.String())
	}
	return took, memory, nil
}

// watch reads the peak memory of a process while it lives. What the kernel tells of it
// afterwards would include that of this process at the time of the start.
func watch(pid int, done <-chan struct{}, peak chan<- int64) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var most int64
	for {
		select {
		case <-done:
			peak <- most
			return
		case <-tick.C:
		}
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // it may have ended
		if _, text, ok := strings.Cut(string(status), "VmHWM:"); ok && strings.HasPrefix(string(status), "Name:\tpublish\n") {
			var kib int64
			_, _ = fmt.Sscan(text, &kib)
			most = max(most, kib)
		}
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// compare lets the two sides take turns, and prints a line.
func (b *bench) compare(ctx context.Context, name string, runs int, ours, other side) (memory int64, err error) {
	var times [2][]time.Duration
	for i := range runs + 1 {
		for n, s := range []side{ours, other} {
			if err := s.prepare(); err != nil {
				return 0, err
			}
			took, kib, err := b.measure(ctx, s.command())
			if err != nil {
				return 0, err
			}
			if i > 0 { // the first warms caches
				times[n] = append(times[n], took)
			}
			if n == 0 {
				memory = max(memory, kib)
			}
		}
	}
	us, them := median(times[0]), median(times[1])
	ratio := float64(us) / float64(them)
	fmt.Fprintf(
		b.out, "%-34s %5d %8.1fms %8.1fms %7.2f  %.1f%s\n", name, runs, ms(us), ms(them), ratio, maxRatio,
		verdict(ratio <= maxRatio),
	)
	return memory, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func verdict(met bool) string {
	if met {
		return ""
	}
	return "  not met"
}

// start measures how long the programs of the steps take to begin.
func (b *bench) start(ctx context.Context) error {
	for _, name := range []string{"fetch", "publish"} {
		if b.skips("start of " + name) {
			continue
		}
		var times []time.Duration
		for range 30 {
			cmd := exec.CommandContext(ctx, filepath.Join(b.dir, name), "--help")
			began := time.Now()
			_ = cmd.Run() // the help ends with the code of a wrong call
			times = append(times, time.Since(began))
		}
		m := median(times)
		fmt.Fprintf(
			b.out, "%-34s %5d %8.1fms %10s %7s  %s%s\n", "start of "+name, len(times), ms(m), "", "", maxStart,
			verdict(m <= maxStart),
		)
	}
	return nil
}
