// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/server"
)

// Env is the world that a command sees.
type Env struct {
	// Args are the arguments without the name of the program.
	Args           []string
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// ConfigDir is the user's folder for configuration, empty if there is none.
	ConfigDir string
	// Program is the path of this very program.
	Program string
}

// Exit codes. A step has further ones, see pkg/step.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// exitError ends the program with a code and without a further message.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit with code %d", e.code) }

// usageError says that a command was called wrongly.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// Main runs the command that the arguments name and returns its exit code.
func Main(ctx context.Context, env Env) int {
	root := newRoot(env)
	root.SetArgs(env.Args)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	cmd, err := root.ExecuteContextC(ctx)
	var exit *exitError
	var usage *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command"):
		fmt.Fprintf(env.Stderr, "ajour: %s\nRun '%s --help' for usage.\n", message(err), cmd.CommandPath())
		return exitUsage
	default:
		fmt.Fprintf(env.Stderr, "ajour: %s\n", message(err))
		return exitFailed
	}
}

// message cleans what may come from elsewhere, line by line.
func message(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = build.Clean(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n  ")
}

func newRoot(env Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "ajour",
		Short: "Build firmware for devices of Drogue IoT",
		Long: `Ajour builds firmware for devices of Drogue IoT: from source in git to an
artifact that the update server delivers, as described on an application or
device in the Drogue registry.

"ajour dev" runs all of it on this machine. The other commands talk to it, or to
any other installation that --url and --token name.`,
		SilenceUsage: true, SilenceErrors: true,
		Version:           server.Version(),
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetVersionTemplate("ajour {{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	c := &client{env: env}
	flags := root.PersistentFlags()
	flags.StringVar(&c.url, "url", "", "base `URL` of the API (env AJOUR_URL; default: the running \"ajour dev\")")
	flags.StringVar(&c.token, "token", "", "access `token` (env AJOUR_TOKEN; default: that of the running \"ajour dev\")")
	root.AddCommand(
		newDev(env), newTrigger(c), newPublish(c), newGet(env, c), newLogs(env, c), newCancel(env, c),
		newHook(env, c), newVersion(env),
	)
	return root
}

// args makes a wrong number of arguments a usage error that names what is wanted.
func args(least, most int, want string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return &usageError{fmt.Errorf("got %d arguments, want %s", len(args), want)}
		}
		return nil
	}
}

// output defines the flag -o of a command that prints objects.
func output(cmd *cobra.Command) *string {
	format := cmd.Flags().StringP("output", "o", "table", "`format` of the output: table or json")
	check := func(*cobra.Command, []string) error {
		if *format != "table" && *format != "json" {
			return &usageError{fmt.Errorf("output format %q is neither table nor json", *format)}
		}
		return nil
	}
	cmd.PreRunE = check
	return format
}
