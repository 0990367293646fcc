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
)

// credentials returns the folders that were named, each by the name of what it
// stands for. One that is not there is a mistake.
func (f *devFlags) credentials(env Env) (map[string]string, error) {
	folders := map[string]string{}
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
			return nil, fmt.Errorf("%s: %w", c.flag, err)
		}
		if _, err := os.ReadDir(path); err != nil {
			return nil, fmt.Errorf("%s: %w", c.flag, err)
		}
		folders[c.name] = path
	}
	return folders, f.ownSecrets(folders)
}

// ownSecrets adds the folders of the Secrets that applications have. A name that no build would
// ask for is a mistake.
func (f *devFlags) ownSecrets(folders map[string]string) error {
	if f.secrets == "" {
		return nil
	}
	entries, err := os.ReadDir(f.secrets)
	if err != nil {
		return fmt.Errorf("--secrets: %w", err)
	}
	for _, e := range entries {
		use, app, _ := strings.Cut(e.Name(), ".")
		if !slices.Contains([]string{"git", "registry", "hawkbit", "env"}, use) ||
			(build.ObjectRef{Application: app}).Validate() != nil {
			return &usageError{fmt.Errorf(
				"--secrets: %q is no Secret of an application: name it git.APP, registry.APP, hawkbit.APP or env.APP", e.Name(),
			)}
		}
		if folders[e.Name()], err = filepath.Abs(filepath.Join(f.secrets, e.Name())); err != nil {
			return fmt.Errorf("--secrets: %w", err)
		}
	}
	return nil
}
