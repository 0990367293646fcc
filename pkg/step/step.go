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
	exitDone   = 0
	exitFailed = 1 // the build cannot go on; reason and message say why
	exitUsage  = 2 // called wrongly, which is a fault of the Task
)

// results writes Tekton results, one file each, into one folder.
type results struct{ dir string }

func (r results) write(values map[string]string) error {
	for name, value := range values {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(value), 0o644); err != nil { //nolint:gosec // read by Tekton's entrypoint
			return fmt.Errorf("write result: %w", err)
		}
	}
	return nil
}

// finish reports how the work went: as results for machines, on stderr for the log.
func (r results) finish(stderr io.Writer, values map[string]string, err error) int {
	code := exitDone
	if err != nil {
		code = exitFailed
		failure := &build.StepError{Reason: build.ReasonInternalError, Message: err.Error()}
		errors.As(err, &failure)
		fmt.Fprintln(stderr, failure.Message)
		values = map[string]string{"reason": string(failure.Reason), "message": build.Clean(failure.Message)}
	}
	if err := r.write(values); err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	return code
}

// parse reads flags, all of which are required unless they have a default.
func parse(name string, args []string, stderr io.Writer, define func(*flag.FlagSet) *string) (results, bool) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := define(flags)
	if err := flags.Parse(args); err != nil {
		return results{}, false
	}
	if *path == "" || flags.NArg() > 0 && !slices.Contains(args, "--") {
		fmt.Fprintf(stderr, "%s: takes flags, and needs --results\n", name)
		flags.Usage()
		return results{}, false
	}
	return results{filepath.Dir(*path)}, true
}

// resultsFlag takes the path of any one result: Tekton tells the path of each,
// but not the folder that all of them are in.
func resultsFlag(flags *flag.FlagSet) *string {
	return flags.String("results", "", "`path` of one of the Task's results; the others go beside it")
}
