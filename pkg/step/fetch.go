// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package step

import (
	"context"
	"flag"
	"io"

	"github.com/drogue-iot/ajour/pkg/git"
)

// Fetch is the program of the step image fetch. It returns the exit code.
func Fetch(ctx context.Context, args []string, stderr io.Writer) int {
	o := git.Options{Log: stderr}
	res, ok := parse("fetch", args, stderr, func(flags *flag.FlagSet) *string {
		flags.StringVar(&o.URI, "uri", "", "`URI` of the repository")
		flags.StringVar(&o.Revision, "revision", "", "branch, tag or commit; the default branch if empty")
		flags.StringVar(&o.Path, "path", ".", "`folder` that the build starts in")
		flags.StringVar(&o.Dir, "output", "", "`folder` to check out into")
		return resultsFlag(flags)
	})
	if !ok {
		return exitUsage
	}
	r, err := git.Fetch(ctx, o)
	return res.finish(stderr, map[string]string{
		"commit": r.Commit, "version": r.Version, "CHAINS-GIT_URL": o.URI, "CHAINS-GIT_COMMIT": r.Commit,
	}, err)
}
