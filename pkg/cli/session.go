// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/drogue-iot/ajour/pkg/standalone"
)

// sessionPattern finds what every running "ajour dev" leaves for the other
// commands: its address and a token, one file each.
func sessionPattern(configDir string) string { return filepath.Join(configDir, "ajour", "dev-*.json") }

func sessionFile(configDir, url string) string {
	host := strings.TrimPrefix(url, "http://")
	return filepath.Join(configDir, "ajour", "dev-"+strings.NewReplacer(":", "-", "[", "", "]", "").Replace(host)+".json")
}

// readSessions returns the sessions of the processes that run, that of the latest start first.
func readSessions(configDir string) ([]standalone.Session, error) {
	if configDir == "" {
		return nil, nil
	}
	files, err := filepath.Glob(sessionPattern(configDir))
	if err != nil {
		return nil, fmt.Errorf("find sessions of ajour dev: %w", err)
	}
	age := func(file string) int64 {
		info, err := os.Stat(file)
		if err != nil {
			return 0
		}
		return -info.ModTime().UnixNano()
	}
	slices.SortFunc(files, func(a, b string) int { return int(min(max(age(a)-age(b), -1), 1)) })
	var list []standalone.Session
	for _, f := range files {
		data, err := os.ReadFile(f) //nolint:gosec // found in our own folder
		if err != nil {
			continue // it ended just now
		}
		var s standalone.Session
		if err := json.Unmarshal(data, &s); err != nil {
			return nil, fmt.Errorf("read session %s of ajour dev: %w", f, err)
		}
		if s.PID > 0 && !alive(s.PID) {
			continue // it was killed, and left this
		}
		list = append(list, s)
	}
	return list, nil
}

// alive reports whether there is a process of an id.
func alive(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// writeSession returns what removes the file.
func writeSession(configDir string, s standalone.Session) (remove func(), err error) {
	if configDir == "" {
		return func() {}, nil
	}
	file := sessionFile(configDir, s.URL)
	data, err := json.Marshal(s) //nolint:gosec // into a file of the user's own
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
	return func() { _ = os.Remove(file) }, nil
}
