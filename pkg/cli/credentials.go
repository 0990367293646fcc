// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/notify"
	"github.com/drogue-iot/ajour/pkg/standalone"
)

// credentials adds the folders that were named, each by the name of what it
// stands for. One that is not there is a mistake.
func (f *devFlags) credentials(o *standalone.Options, env Env) error {
	o.Credentials = map[string]string{}
	for _, c := range []struct{ name, flag, folder string }{
		{"git-credentials", "--git-credentials", f.git},
		{"hawkbit-config", "--hawkbit", f.hawkbit},
		{"trusted-ca", "--trusted-ca", f.ca},
		{"container-registry", "DOCKER_CONFIG", env.Getenv("DOCKER_CONFIG")},
	} {
		if c.folder == "" {
			continue
		}
		path, err := filepath.Abs(c.folder)
		if err != nil {
			return fmt.Errorf("%s: %w", c.flag, err)
		}
		if _, err := os.ReadDir(path); err != nil {
			return fmt.Errorf("%s: %w", c.flag, err)
		}
		o.Credentials[c.name] = path
	}
	if err := f.commitStatus(o); err != nil {
		return fmt.Errorf("--commit-status: %w", err)
	}
	if f.secrets == "" {
		return nil
	}
	folder, err := filepath.Abs(f.secrets)
	if err != nil {
		return fmt.Errorf("--secrets: %w", err)
	}
	o.Webhooks = filepath.Join(folder, webhooks) // it may come later: it is read for each delivery
	return ownSecrets(o.Credentials, folder)
}

// commitStatus reads the list of forges that show builds on commits.
func (f *devFlags) commitStatus(o *standalone.Options) error {
	if f.forges == "" {
		return nil
	}
	list, err := os.ReadFile(filepath.Join(f.forges, "forges"))
	if err != nil {
		return err
	}
	if o.Forges, err = notify.ParseForges(strings.TrimSpace(string(list)), true); err != nil {
		return &usageError{err}
	}
	folder, err := filepath.Abs(f.forges)
	o.CommitStatus = notify.Folder(folder)
	return err
}

// webhooks is the folder with the secrets of webhooks, a file for each application.
const webhooks = "webhooks"

// ownSecrets adds the folders of the Secrets that applications have. A name that no build would
// ask for is a mistake.
func ownSecrets(folders map[string]string, folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("--secrets: %w", err)
	}
	for _, e := range entries {
		if e.Name() == webhooks {
			continue
		}
		use, app, _ := strings.Cut(e.Name(), ".")
		if !slices.Contains([]string{"git", "registry", "hawkbit", "env"}, use) ||
			(build.ObjectRef{Application: app}).Validate() != nil {
			return &usageError{fmt.Errorf(
				"--secrets: %q is no Secret of an application: name it git.APP, registry.APP, hawkbit.APP, env.APP or webhooks",
				e.Name(),
			)}
		}
		folders[e.Name()] = filepath.Join(folder, e.Name())
	}
	return nil
}
