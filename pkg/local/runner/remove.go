// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
)

func (r *Runner) removeAll(dir string) error { return RemoveAll(r.options.Engine, dir) }

// RemoveAll is os.RemoveAll for folders in which builds have worked. They make folders
// read-only, as the module cache of Go is, and in a rootless podman an image with a user of its
// own makes files that belong to a user of the container, which its engine alone can remove.
func RemoveAll(engine, dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700) //nolint:gosec // a folder of ours that is about to go
		}
		return err
	})
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.RemoveAll(dir)
	}
	if err == nil || path.Base(engine) != "podman" || os.Getuid() == 0 {
		return err
	}
	cmd := exec.Command(engine, "unshare", "rm", "-rf", "--", dir) //nolint:gosec,noctx // it ends by itself
	cmd.Dir = path.Dir(dir)                                        // podman refuses a folder that the user may not enter
	if out, failed := cmd.CombinedOutput(); failed != nil {
		return fmt.Errorf("%w; podman unshare: %w: %s", err, failed, out)
	}
	return nil
}
