// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/step"
)

// TestTheEnvironmentOfABuilderIsDropped: not in parallel, since it changes that of
// this process.
func TestTheEnvironmentOfABuilderIsDropped(t *testing.T) {
	for _, e := range os.Environ() { // restores all of them afterwards
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	t.Setenv("HTTPS_PROXY", "http://thief")
	t.Setenv("SSL_CERT_FILE", "/workspace/ca")
	t.Setenv("DOCKER_CONFIG", "/workspace")
	t.Setenv("TMPDIR", "/workspace")
	t.Setenv("GIT_PROTOCOL", "version=2")
	step.DropEnvironment(os.Environ())
	var left []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		left = append(left, name)
	}
	slices.Sort(left)
	if diff := cmp.Diff([]string{"GIT_PROTOCOL", "PATH"}, left); diff != "" {
		t.Error(diff)
	}
}
