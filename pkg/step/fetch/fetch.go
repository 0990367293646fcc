// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package fetch is the program of the step image fetch: pkg/git behind flags.
package fetch

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/drogue-iot/ajour/pkg/git"
	"github.com/drogue-iot/ajour/pkg/git/egress"
	"github.com/drogue-iot/ajour/pkg/internal/proxy"
	"github.com/drogue-iot/ajour/pkg/step"
)

// sshMode is the first argument when git runs the program in place of ssh.
const sshMode = "ssh"

// Main is the program. Self is the command that it was called with, without args: git
// calls it recursively for repositories by ssh. It returns the exit code.
func Main(ctx context.Context, self, args []string, stderr io.Writer) int {
	if len(args) > 0 && args[0] == sshMode {
		return git.SSH(ctx, args[1:], os.Stdin, os.Stdout, stderr)
	}
	// The builder may be any user, and writes into every folder. Nobody else has this volume.
	syscall.Umask(0)
	o := git.Options{Log: stderr, SSH: append(append([]string{}, self...), sshMode)}
	var schemes, hosts, addresses string
	var credentials step.Credentials
	res, ok := step.Parse("fetch", args, stderr, func(flags *flag.FlagSet) {
		flags.StringVar(&o.URI, "uri", "", "`URI` of the repository")
		flags.StringVar(&o.Revision, "revision", "", "branch, tag or commit; the default branch if empty")
		flags.Func("history", "more than the one commit, `tags` or full", func(s string) error {
			o.History = git.History(s)
			return o.History.Validate()
		})
		flags.StringVar(&o.Path, "path", ".", "`folder` that the build starts in")
		flags.StringVar(&o.Dir, "output", "", "`folder` to check out into")
		flags.StringVar(&schemes, "schemes", "", "`schemes` that may be fetched by, separated by commas")
		flags.StringVar(&hosts, "hosts", "", "`hosts` that may be fetched from, separated by commas; any if empty")
		flags.StringVar(&addresses, "addresses", "", "`ranges` of addresses that they may have, or public, or any")
		credentials.Define(flags, ".git-credentials, ssh-privatekey and known_hosts")
		flags.StringVar(&o.TrustedCA, "trusted-ca", "", "`file` of CA certificates to trust, too")
	})
	if !ok {
		return step.ExitUsage
	}
	policy, err := egress.Parse(schemes, hosts, addresses)
	if err != nil {
		return res.Finish(stderr, nil, fmt.Errorf("read policy of sources: %w", err))
	}
	policy.Proxies = proxy.OfStep()
	o.Policy, o.Credentials = policy, credentials.Folder()
	r, err := git.Fetch(ctx, o)
	return res.Finish(stderr, map[string]string{
		"commit":            r.Commit,
		"version":           r.Version,
		"commit-time":       r.Time.Format(time.RFC3339),
		"CHAINS-GIT_URL":    o.URI,
		"CHAINS-GIT_COMMIT": r.Commit,
	}, credentials.Explain(err))
}
