// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package step

import (
	"os"
	"slices"
	"strings"

	"github.com/drogue-iot/ajour/pkg/internal/proxy"
)

// allowed are the variables that a step reads, none of which a user can set. The second
// one is git's, when it runs the step in place of ssh. TMPDIR is none of them:
// credentials are copied to where it points.
var allowed = []string{"PATH", "GIT_PROTOCOL", proxy.VariableHTTPS, proxy.VariableHTTP, proxy.VariableNo}

// DropEnvironment removes every variable that a step does not need from the
// environment of this process, which is given. Steps that share a pod with a
// builder have its environment too: a proxy or a certificate that a user sets
// there must not see the credentials of the installation.
func DropEnvironment(environ []string) {
	for _, e := range environ {
		if name, _, _ := strings.Cut(e, "="); !slices.Contains(allowed, name) {
			_ = os.Unsetenv(name) // fails for no name that a process can have
		}
	}
}
