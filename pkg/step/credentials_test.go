// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/step"
)

// secret makes a folder as a Secret with a key is mounted; without a key, as one that is not there.
func secret(t *testing.T, key string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "..2026_11_27"), 0o755); err != nil {
		t.Fatal(err)
	}
	if key != "" {
		if err := os.WriteFile(filepath.Join(dir, key), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestTheCredentialsOfAnApplicationGoBefore those of the installation, as a whole, and a failure
// says which were used.
func TestTheCredentialsOfAnApplicationGoBefore(t *testing.T) {
	t.Parallel()
	none, shared, own := secret(t, ""), secret(t, ".git-credentials"), secret(t, "ssh-privatekey")
	for name, tt := range map[string]struct {
		shared, own, sharedSecret string
		folder, says              string
	}{
		"both":         {shared, own, "git-credentials", own, " (the credentials are those of the Secret git.app)"},
		"shared alone": {shared, none, "git-credentials", shared, " (the credentials are those of the Secret git-credentials)"},
		"none":         {none, none, "git-credentials", "", " (there is no Secret git.app, nor git-credentials)"},
		"none of its own, where it needs its own": {none, none, "git.app", "", " (there is no Secret git.app)"},
		"no folder": {"", filepath.Join(none, "missing"), "git-credentials", "", " (there is no Secret git.app, nor git-credentials)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c step.Credentials
			flags := flag.NewFlagSet("fetch", flag.ContinueOnError)
			c.Define(flags, "credentials")
			if err := flags.Parse([]string{
				"--credentials=" + tt.shared, "--own-credentials=" + tt.own, "--secret=" + tt.sharedSecret, "--own-secret=git.app",
			}); err != nil {
				t.Fatal(err)
			}
			if got := c.Folder(); got != tt.folder {
				t.Errorf("got %q, want %q", got, tt.folder)
			}
			for reason, says := range map[build.Reason]string{
				build.ReasonSourceAuthFailed: tt.says, build.ReasonRegistryAuthFailed: tt.says, build.ReasonSourceNotFound: "",
			} {
				err := c.Explain(&build.StepError{Reason: reason, Message: "refused"})
				want := &build.StepError{Reason: reason, Message: "refused" + says}
				if diff := cmp.Diff(error(want), err); diff != "" {
					t.Error(diff)
				}
			}
			if err := errors.New("of a different make"); !errors.Is(c.Explain(err), err) || c.Explain(nil) != nil {
				t.Error("other errors are changed")
			}
		})
	}
}
