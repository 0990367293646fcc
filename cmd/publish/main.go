// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command publish is the program of the step image publish: see pkg/step/publish.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/drogue-iot/ajour/pkg/step"
	"github.com/drogue-iot/ajour/pkg/step/publish"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills at once
	step.DropEnvironment(os.Environ())
	os.Exit(publish.Main(ctx, os.Args[1:], os.Stderr))
}
