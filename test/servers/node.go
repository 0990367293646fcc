// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// NodeModules returns the folder of the npm packages that the lock file of a folder names. They are
// installed once for a user.
func NodeModules(folder string) (string, error) {
	files := map[string][]byte{}
	for _, name := range []string{"package.json", "package-lock.json"} {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return "", err
		}
		files[name] = data
	}
	sum := sha256.Sum256(files["package-lock.json"])
	return Stored("npm-"+hex.EncodeToString(sum[:6]), "node_modules", func(dir string) error {
		work := filepath.Join(dir, "new")
		if err := errors.Join(os.RemoveAll(work), os.Mkdir(work, 0o755)); err != nil {
			return err
		}
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(work, name), data, 0o600); err != nil {
				return err
			}
		}
		install := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
		install.Dir = work
		if out, err := install.CombinedOutput(); err != nil {
			return fmt.Errorf("npm ci: %w: %s", err, out)
		}
		return os.Rename(filepath.Join(work, "node_modules"), filepath.Join(dir, "node_modules"))
	})
}
