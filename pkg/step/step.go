// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package step

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Exit codes of a step.
const (
	ExitDone   = 0
	ExitFailed = 1 // the build cannot go on; reason and message say why
	ExitUsage  = 2 // called wrongly, which is a fault of the Task
)

// Results writes Tekton results, one file each, into one folder.
type Results struct{ dir string }

func (r Results) write(values map[string]string) error {
	for name, value := range values {
		file := filepath.Join(r.dir, name)
		if err := os.WriteFile(file, []byte(value), 0o644); err != nil { //nolint:gosec // read by Tekton's entrypoint
			return fmt.Errorf("write result: %w", err)
		}
	}
	return nil
}

// Finish reports how the work went: as results for machines, on stderr for the log.
// The values are those of a success; a failure leaves "reason" and "message". It
// returns the exit code.
func (r Results) Finish(stderr io.Writer, values map[string]string, err error) int {
	code := ExitDone
	if err != nil {
		code = ExitFailed
		failure := &build.StepError{Reason: build.ReasonInternalError, Message: err.Error()}
		errors.As(err, &failure)
		fmt.Fprintln(stderr, failure.Message)
		values = map[string]string{"reason": string(failure.Reason), "message": build.Clean(failure.Message)}
	}
	if err := r.write(values); err != nil {
		fmt.Fprintln(stderr, err)
		return ExitFailed
	}
	return code
}

// Parse reads the flags that define adds, and the path of the results besides. What
// follows "--" is left to [flag.FlagSet.Args]. It reports whether the call was right; if
// not, it has written why, and the step ends with [ExitUsage].
func Parse(name string, args []string, stderr io.Writer, define func(*flag.FlagSet)) (Results, bool) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	define(flags)
	// Tekton tells the path of each result, but not the folder that all of them are in.
	path := flags.String("results", "", "`path` of one of the Task's results; the others go beside it")
	if err := flags.Parse(args); err != nil {
		return Results{}, false
	}
	if *path == "" || flags.NArg() > 0 && !slices.Contains(args, "--") {
		fmt.Fprintf(stderr, "%s: takes flags, and needs --results\n", name)
		flags.Usage()
		return Results{}, false
	}
	return Results{filepath.Dir(*path)}, true
}
