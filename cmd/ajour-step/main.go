// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command ajour-step is how "ajour dev" runs the steps that are images of their own in a cluster.
// It is a program of its own, since a step that had Tekton's and Kubernetes' packages in it would
// start six times as slowly, twice for every build.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/drogue-iot/ajour/pkg/step/fetch"
	"github.com/drogue-iot/ajour/pkg/step/publish"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills at once
	name, args := "", os.Args[1:]
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch name {
	case "fetch":
		self, err := os.Executable()
		if err != nil {
			self = os.Args[0]
		}
		os.Exit(fetch.Main(ctx, []string{self, "fetch"}, args, os.Stderr))
	case "publish":
		os.Exit(publish.Main(ctx, args, os.Stderr))
	default:
		fmt.Fprintf(os.Stderr, "ajour-step: %q is neither fetch nor publish; \"ajour dev\" runs this program\n", name)
		os.Exit(2)
	}
}
