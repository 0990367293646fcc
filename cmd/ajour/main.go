// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command ajour runs all of Ajour on one machine, and is its command line
// client: see pkg/cli.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/drogue-iot/ajour/pkg/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)    // a second signal kills at once
	config, _ := os.UserConfigDir() // without one, nothing is remembered between commands
	program, _ := os.Executable()   // only "dev" needs it, and says so
	os.Exit(cli.Main(ctx, cli.Env{
		Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, ConfigDir: config, Program: program,
	}))
}
