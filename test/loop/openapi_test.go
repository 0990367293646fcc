// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/drogue-iot/ajour/test/devtest"
)

// TestEveryOperationAnswersAsTheDocumentSays, to what is valid and to what is not: schemathesis makes
// calls of the OpenAPI document, and compares each answer with it.
func TestEveryOperationAnswersAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	program := schemathesis(t)
	w := start(t)
	const device, plain = "../é #7", "é 7" // the client takes the first one for a path, as a browser does
	spec := shell(anything(t), makeFirmware)
	w.createApp("demo", spec)
	w.createDevice("demo", device, spec)
	w.createDevice("demo", plain, spec)
	w.createApp("edited", map[string]any{})
	w.createDevice("edited", device, map[string]any{})
	id := w.trigger("/apps/demo")
	w.await(devtest.AppPath("demo"), id)
	folder, err := filepath.Abs("openapi")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(
		ctx, program, "--no-color", "--config-file", filepath.Join(folder, "schemathesis.toml"), "run",
		w.URL+devtest.Builds+"/openapi.yaml", "--phases=coverage,fuzzing", "--max-examples=15", "--seed=1",
		"--continue-on-failure", "--request-timeout=20", "--warnings=off",
	)
	cmd.Dir = t.TempDir() // where it leaves what it remembers
	cmd.Env = append(
		os.Environ(),
		"TOKEN="+w.Token,
		"BUILD="+id,
		"DEVICE="+device,
		"PLAIN_DEVICE="+plain,
		"PYTHONPATH="+folder,
		"NO_PROXY=127.0.0.1",
	)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// schemathesis returns the path of the program, in the versions that the file of its requirements pins.
// They are installed once, for this user.
func schemathesis(t *testing.T) string {
	t.Helper()
	requirements, err := os.ReadFile("openapi/requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(requirements)
	dir := filepath.Join(cache, "ajour", "schemathesis-"+hex.EncodeToString(sum[:6]))
	program := filepath.Join(dir, "bin", "schemathesis")
	if _, err := os.Stat(filepath.Join(dir, "complete")); err == nil {
		return program
	}
	for _, args := range [][]string{
		{"python3", "-m", "venv", "--clear", dir},
		{filepath.Join(dir, "bin", "pip"), "install", "--quiet", "--requirement", "openapi/requirements.txt"},
	} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("install schemathesis: %v: %v\n%s", args, err, out)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "complete"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return program
}
