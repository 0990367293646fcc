// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"os/exec"
	"syscall"
)

// isolate gives a command a process group of its own, and ties its life to ours:
// when this process is killed, so is the step.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
