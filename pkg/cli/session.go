// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/drogue-iot/ajour/pkg/standalone"
)

// sessionFile is where a running "ajour dev" leaves its address and a token for
// the other commands.
func sessionFile(configDir string) string { return filepath.Join(configDir, "ajour", "dev.json") }

func readSession(configDir string) (standalone.Session, error) {
	var s standalone.Session
	if configDir == "" {
		return s, nil
	}
	data, err := os.ReadFile(sessionFile(configDir))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read session of ajour dev: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("read session of ajour dev: %w", err)
	}
	return s, nil
}

// writeSession returns what removes the file again, unless another process has
// written its own by then.
func writeSession(configDir string, s standalone.Session) (remove func(), err error) {
	if configDir == "" {
		return func() {}, nil
	}
	file := sessionFile(configDir)
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write session: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("write session: %w", err)
	}
	tmp := fmt.Sprintf("%s.%d", file, os.Getpid())
	if err := errors.Join(os.WriteFile(tmp, data, 0o600), os.Rename(tmp, file)); err != nil {
		return nil, fmt.Errorf("write session: %w", err)
	}
	return func() {
		if now, err := readSession(configDir); err == nil && now == s {
			_ = os.Remove(file)
		}
	}, nil
}
