// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: cluster COMMAND
  up           start the cluster, or find the one that runs, and wait until it is ready
  down         end it and remove what it left
  kubeconfig   print the path of its kubeconfig
  env          print the environment for tools on this machine, as in: eval "$(cluster env)"
  logs         print the folder of the logs of its parts
  push REGISTRY
               push the images that the tests build with to a registry, for a
               cluster of your own
  kill PART    kill one part, which is restarted: etcd, kube-apiserver, kubelet, ...`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills at once
	err := run(ctx, os.Args[1:])
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.code)
	case err != nil:
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// exitError ends the program with a code, without a word.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func run(ctx context.Context, args []string) error {
	l, err := newLayout()
	if err != nil {
		return err
	}
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	switch {
	case command == "up" && len(args) == 1:
		return up(ctx, l, os.Stderr)
	case command == "down" && len(args) == 1:
		return down(ctx, l)
	case command == "kubeconfig" && len(args) == 1:
		return printIfRunning(l, l.kubeconfig("admin"))
	case command == "env" && len(args) == 1:
		return printEnv(l)
	case command == "logs" && len(args) == 1:
		return printIfRunning(l, l.logs())
	case command == "kill" && len(args) == 2:
		return kill(l, args[1])
	case command == "push" && len(args) == 2:
		return pushImages(
			ctx, args[1], nil, func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) },
		)
	case command == "reap" && len(args) == 1: // started by up, as process 1 of the sandbox
		return reap()
	case command == "supervise" && len(args) == 1: // started by reap
		return supervise(ctx, l)
	default:
		fmt.Fprintln(os.Stderr, usage)
		return &exitError{2}
	}
}
