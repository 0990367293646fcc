// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package console has scripts that use the web console as a person does: in Debian's Chromium, driven by
// Playwright.
package console

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/drogue-iot/ajour/test/servers"
)

// Scripts runs them.
type Scripts struct {
	// Folder is that of the scripts, and of the lock file of their packages.
	Folder string
	// Program is the path of ajour.
	Program string
	// Repository is the URL of a git repository whose branch main has something in it.
	Repository string
}

// Command returns the call of node with the arguments, in the folder of the scripts. The first time its
// packages are installed, which takes a moment.
func (s Scripts) Command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		return nil, fmt.Errorf("the Debian package chromium is missing: %w", err)
	}
	folder, err := filepath.Abs(s.Folder)
	if err != nil {
		return nil, err
	}
	program, err := filepath.Abs(s.Program)
	if err != nil {
		return nil, err
	}
	modules, err := servers.NodeModules(folder)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Dir = folder
	cmd.Env = append(
		os.Environ(), "AJOUR="+program, "REPOSITORY="+s.Repository, "CHROMIUM="+chromium, "MODULES="+filepath.Dir(modules),
		"NO_PROXY=127.0.0.1,localhost",
	)
	return cmd, nil
}
