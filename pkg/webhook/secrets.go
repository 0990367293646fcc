// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Folder has a file for each application, with a secret in each line: during a rotation the new one
// and the previous one are valid side by side. It is read for each delivery, so that a Secret that
// changes needs no restart.
type Folder string

// Secrets returns those of an application; none if it has no file.
func (f Folder) Secrets(application string) ([]string, error) {
	valid := (build.ObjectRef{Application: application}).Validate() == nil
	if f == "" || !valid { // it becomes the name of a file
		return nil, nil
	}
	data, err := os.ReadFile(filepath.Join(string(f), application)) //nolint:gosec // the name was checked
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read webhook secrets: %w", err)
	}
	return strings.Fields(string(data)), nil
}
