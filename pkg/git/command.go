// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// maxOutput bounds what is stored of git's output.
const maxOutput = 1 << 20

// attempts bounds how often a command that may pass is tried, first after firstWait,
// then after three times as long.
const (
	attempts  = 4
	firstWait = 250 * time.Millisecond
)

// commandError is a failure of the git command itself.
type commandError struct {
	stderr string
	err    error
}

func (e *commandError) Error() string { return fmt.Sprintf("git: %v: %s", e.err, e.stderr) }
func (e *commandError) Unwrap() error { return e.err }

// settings hold for every command, whatever a repository brings along.
var settings = []string{
	"-c",
	"core.hooksPath=/dev/null",
	"-c",
	"core.fsmonitor=false",
	"-c",
	"core.symlinks=true",
	"-c",
	"core.protectHFS=true",
	"-c",
	"core.protectNTFS=true",
	"-c",
	"protocol.allow=never",
	"-c",
	"protocol.http.allow=always",
	"-c",
	"protocol.https.allow=always",
	"-c",
	"protocol.ssh.allow=always",
	"-c",
	"http.followRedirects=initial",
	// A server that packs for long sends some five bytes in as many seconds meanwhile.
	"-c",
	"http.lowSpeedLimit=1",
	"-c",
	"http.lowSpeedTime=120",
	"-c",
	"advice.detachedHead=false",
	"-c",
	"gc.auto=0",
	"-c",
	"maintenance.auto=false",
	"-c",
	"transfer.fsckObjects=true",
	"-c",
	"fetch.unpackLimit=1",
	"-c",
	"submodule.recurse=false",
	"-c",
	"fetch.recurseSubmodules=false",
	// As GitLab, which many repositories are at: what they have of this is old and harmless.
	"-c",
	"fetch.fsck.badTimezone=ignore",
	"-c",
	"fetch.fsck.missingSpaceBeforeDate=ignore",
	"-c",
	"fetch.fsck.zeroPaddedFilemode=ignore",
	"-c",
	"fetch.fsck.missingEmail=ignore",
	// The folder is of no use after a crash of the machine: git syncs no file that it checks
	// out. And nobody will ask who moved a ref in it.
	"-c",
	"core.fsync=none",
	"-c",
	"core.logAllRefUpdates=false",
	// Several processes write many files to a disk in a fraction of the time.
	"-c",
	"checkout.workers=4",
	"-c",
	"checkout.thresholdForParallelism=1000",
	// git runs these for files that a repository marks as stored in LFS, if there are any.
	"-c",
	"filter.lfs.process=git-lfs filter-process",
	"-c",
	"filter.lfs.smudge=git-lfs smudge -- %f",
	"-c",
	"filter.lfs.required=true",
	// A command that failed is retried as a whole.
	"-c",
	"lfs.transfer.maxRetries=1",
	// A repository may say where its LFS is: git-lfs would read folders of this machine.
	"-c",
	"lfs.customtransfer.lfs-standalone-file.path=false",
}

// Names of files in the folder that git has for its home.
const (
	fileConfig = "gitconfig"
	fileBundle = "ca.crt"
)

// setUp writes what git is asked by files: the proxy, the credentials and the CA in
// its configuration.
func (f *fetcher) setUp(proxyURL string) (err error) {
	if f.ssh, err = setUpSSH(f.Credentials, f.home, f.Policy); err != nil {
		return err
	}
	config := "[http]\n\tproxy = " + quoteConfig(proxyURL) + "\n\tproxyAuthMethod = basic\n[credential]\n\thelper =\n"
	if file := filepath.Join(f.Credentials, fileCredentials); f.Credentials != "" && exists(file) {
		// A copy, since git removes credentials from it that were refused.
		if file, err = copyPrivate(file, filepath.Join(f.home, "credentials"), false); err != nil {
			return err
		}
		config += "\thelper = " + quoteConfig("store --file='"+strings.ReplaceAll(file, "'", `'\''`)+"'") + "\n"
	}
	if f.TrustedCA != "" && exists(f.TrustedCA) {
		bundle := filepath.Join(f.home, fileBundle)
		if err := writeBundle(bundle, f.TrustedCA); err != nil {
			return err
		}
		config += "[http]\n\tsslCAInfo = " + quoteConfig(bundle) + "\n"
	}
	return os.WriteFile(filepath.Join(f.home, fileConfig), []byte(config), 0o600)
}

// objectFormat is the beginning of the configuration of a repository, by the hash
// function that names its objects.
type objectFormat string

const (
	sha1   objectFormat = "[core]\n\trepositoryformatversion = 0\n"
	sha256 objectFormat = "[extensions]\n\tobjectFormat = sha256\n[core]\n\trepositoryformatversion = 1\n"
)

// forAll is the mode of folders in the repository: as git's own, it is what the mask of the
// process leaves of it. The builder may run as a different user.
const forAll = 0o777

// newRepository makes an empty one whose remote "origin" is the source, of the parts
// that gitrepository-layout(5) asks for. "git init" would be a third of what the fetch
// of a small repository takes besides the transfer.
func (f *fetcher) newRepository(format objectFormat) error {
	dir := filepath.Join(f.Dir, ".git")
	config := string(format) + "\tfilemode = true\n\tbare = false\n[remote \"origin\"]\n\turl = " + quoteConfig(f.URI) +
		"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n"
	err := errors.Join(
		os.MkdirAll(filepath.Join(dir, "objects"), forAll),
		os.MkdirAll(filepath.Join(dir, "refs"), forAll),
	)
	for name, content := range map[string]string{"HEAD": "ref: refs/heads/main\n", "config": config} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(content), forAll&^0o111))
	}
	if err != nil {
		return fmt.Errorf("make repository: %w", err)
	}
	return nil
}

// quoteConfig writes a value as git-config(1) reads it.
func quoteConfig(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(s) + `"`
}

// systemBundles are where the CA certificates of the system are, by distribution:
// git takes one file, and what it is asked replaces its own.
var systemBundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/cert.pem",
}

func writeBundle(to, ca string) error {
	own, err := os.ReadFile(ca) //nolint:gosec // named by the installation
	if err != nil {
		return fmt.Errorf("read trusted CA: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(own) {
		return fmt.Errorf("trusted CA %s holds no certificate in PEM format", ca)
	}
	var all []byte
	for _, file := range systemBundles {
		if all, err = os.ReadFile(file); err == nil { //nolint:gosec // of the list above
			break
		}
	}
	return os.WriteFile(to, append(append(all, '\n'), own...), 0o600) //nolint:gosec // in a folder of our own
}

// git runs one command and returns its standard output.
func (f *fetcher) git(ctx context.Context, args ...string) (string, error) {
	all := append(append([]string{}, settings...), args...)
	cmd := exec.CommandContext(ctx, "git", all...) //nolint:gosec // no shell; options end before user text
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + f.home,
		"LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + filepath.Join(
			f.home,
			fileConfig,
		),
		"GIT_TERMINAL_PROMPT=0",
		"GIT_ASKPASS=/bin/false",
		"SSH_ASKPASS=/bin/false",
		"GIT_SSH_COMMAND=" + sshCommand(f.SSH, f.ssh),
		"GIT_SSH_VARIANT=ssh",
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr limited
	cmd.Stdout = &stdout
	cmd.Stderr = io.MultiWriter(&stderr, f.Log)
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", &commandError{stderr: strings.TrimSpace(stderr.String() + "\n" + signal(err)), err: err}
	}
	return stdout.String(), nil
}

// signal is what ended a command, "" if it ended itself.
func signal(err error) string {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && !exit.Exited() {
		return exit.Error()
	}
	return ""
}

// limited keeps the first megabyte and drops the rest.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if rest := maxOutput - l.Len(); rest > 0 {
		_, _ = l.Buffer.Write(p[:min(rest, len(p))])
	}
	return len(p), nil
}

// retry runs git in the folder; it is repeated after a failure that may pass.
func (f *fetcher) retry(ctx context.Context, args ...string) (string, error) {
	wait := backoff.NewExponentialBackOff()
	notify := func(_ error, d time.Duration) { fmt.Fprintf(f.Log, "trying again in %s\n", d.Round(time.Millisecond)) }
	wait.InitialInterval, wait.Multiplier = firstWait, 3
	command := func() (string, error) {
		out, err := f.git(ctx, append([]string{"-C", f.Dir}, args...)...)
		var failure *commandError
		if err == nil {
			return out, nil
		}
		lasting := !errors.As(err, &failure) || f.proxy.Denied() != nil
		if !lasting {
			_, lasting = classify(failure.stderr)
		}
		if lasting {
			err = backoff.Permanent(err)
		}
		return out, err
	}
	return backoff.Retry(ctx, command,
		backoff.WithBackOff(wait), backoff.WithMaxTries(attempts), backoff.WithMaxElapsedTime(0), backoff.WithNotify(notify))
}
