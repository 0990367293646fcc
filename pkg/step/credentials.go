// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package step

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Credentials are folders of which a step uses one: that of the application if anything is in it,
// else that of the installation. Each is a Secret that is mounted, and empty if there is none.
type Credentials struct {
	shared, own             string
	sharedSecret, ownSecret string
}

// Define adds the flags. What says what is in the folders.
func (c *Credentials) Define(f *flag.FlagSet, what string) {
	f.StringVar(&c.shared, "credentials", "", "`folder` with "+what)
	f.StringVar(&c.own, "own-credentials", "", "`folder` that takes its place, if anything is in it")
	f.StringVar(&c.sharedSecret, "secret", "", "`name` of the Secret that is the first folder, for messages")
	f.StringVar(&c.ownSecret, "own-secret", "", "`name` of the Secret that is the second one")
}

// Folder returns the folder to use, "" for none.
func (c Credentials) Folder() string {
	switch {
	case filled(c.own):
		return c.own
	case filled(c.shared):
		return c.shared
	default:
		return ""
	}
}

// filled reports whether a folder has files. A Secret that is mounted has some of its own as
// well, whose names begin with two dots.
func filled(folder string) bool {
	if folder == "" {
		return false
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "..") {
			return true
		}
	}
	return false
}

// Explain adds to a failure that has to do with credentials which Secret they were of.
func (c Credentials) Explain(err error) error {
	var s *build.StepError
	if !errors.As(err, &s) || c.ownSecret == "" || !ofLogin(s) {
		return err
	}
	secrets := c.ownSecret
	if c.sharedSecret != c.ownSecret {
		secrets += ", nor " + c.sharedSecret
	}
	used := fmt.Sprintf("there is no Secret %s", secrets)
	switch c.Folder() {
	case "":
	case c.own:
		used = "the credentials are those of the Secret " + c.ownSecret
	default:
		used = "the credentials are those of the Secret " + c.sharedSecret
	}
	return &build.StepError{Reason: s.Reason, Message: s.Message + " (" + used + ")"}
}

// ofLogin reports whether a failure has to do with credentials. hawkBit has one reason for all.
func ofLogin(s *build.StepError) bool {
	switch s.Reason {
	case build.ReasonSourceAuthFailed, build.ReasonRegistryAuthFailed:
		return true
	default:
		return s.Reason == build.ReasonHawkbitPushFailed &&
			(strings.Contains(s.Message, "401") || strings.Contains(s.Message, "403"))
	}
}
