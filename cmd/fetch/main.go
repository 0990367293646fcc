// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command fetch is the program of the step image fetch: see pkg/step/fetch.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/drogue-iot/ajour/pkg/step"
	"github.com/drogue-iot/ajour/pkg/step/fetch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills at once
	step.DropEnvironment(os.Environ())
	syscall.Umask(0) // the builder may run as a different user: it shares a group with us, or nothing
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	os.Exit(fetch.Main(ctx, []string{self}, os.Args[1:], os.Stderr))
}
