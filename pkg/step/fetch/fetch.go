// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package fetch is the program of the step image fetch: pkg/git behind flags.
package fetch

import (
	"context"
	"flag"
	"io"
	"os"
	"strings"
	"time"

	"github.com/drogue-iot/ajour/pkg/git"
	"github.com/drogue-iot/ajour/pkg/step"
)

// sshMode is the first argument when git runs the program in place of ssh.
const sshMode = "ssh"

// Main is the program. Self is the command that it was called with, without args: git
// calls it again for repositories by ssh. It returns the exit code.
func Main(ctx context.Context, self, args []string, stderr io.Writer) int {
	if len(args) > 0 && args[0] == sshMode {
		return git.SSH(ctx, args[1:], os.Stdin, os.Stdout, stderr)
	}
	o := git.Options{Log: stderr, SSH: append(append([]string{}, self...), sshMode)}
	res, ok := step.Parse("fetch", args, stderr, func(flags *flag.FlagSet) {
		flags.StringVar(&o.URI, "uri", "", "`URI` of the repository")
		flags.StringVar(&o.Revision, "revision", "", "branch, tag or commit; the default branch if empty")
		flags.StringVar(&o.Path, "path", ".", "`folder` that the build starts in")
		flags.StringVar(&o.Dir, "output", "", "`folder` to check out into")
		flags.Var((*list)(&o.Policy.Schemes), "schemes", "`schemes` that may be fetched by, separated by commas")
		flags.Var((*list)(&o.Policy.Hosts), "hosts", "`hosts` that may be fetched from, separated by commas; any if empty")
		flags.Var((*list)(&o.Policy.Addresses), "addresses", "`ranges` of addresses that they may have, or public, or any")
		flags.StringVar(&o.Credentials, "credentials", "", "`folder` with .git-credentials, ssh-privatekey and known_hosts")
		flags.StringVar(&o.TrustedCA, "trusted-ca", "", "`file` of CA certificates to trust, too")
	})
	if !ok {
		return step.ExitUsage
	}
	r, err := git.Fetch(ctx, o)
	return res.Finish(stderr, map[string]string{
		"commit": r.Commit, "version": r.Version, "commit-time": r.Time.Format(time.RFC3339), "CHAINS-GIT_URL": o.URI, "CHAINS-GIT_COMMIT": r.Commit,
	}, err)
}

// ValidateSources reports what the fetch step would refuse of its flags --schemes,
// --hosts and --addresses.
func ValidateSources(schemes, hosts, addresses string) error {
	var s, h, a list
	for l, text := range map[*list]string{&s: schemes, &h: hosts, &a: addresses} {
		_ = l.Set(text) // takes anything
	}
	return git.Policy{Schemes: s, Hosts: h, Addresses: a}.Validate()
}

// list is a flag of words that are separated by commas.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(s string) error {
	*l = nil
	for word := range strings.SplitSeq(s, ",") {
		if word = strings.TrimSpace(word); word != "" {
			*l = append(*l, word)
		}
	}
	return nil
}
