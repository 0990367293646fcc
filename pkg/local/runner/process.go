// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"os/exec"
	"syscall"
)

// terminate asks the whole group to end. The number of a group is not given to
// a different one while a process of it lives, nor at once after.
func terminate(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }

// exitCode returns the code that a process exited with, or, as a shell and a
// container do, 128 and the signal that ended it.
func exitCode(cmd *exec.Cmd) int32 {
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int32(status.Signal()) //nolint:gosec // a signal has 7 bits
	}
	return int32(cmd.ProcessState.ExitCode()) //nolint:gosec // an exit code has 8 bits
}

// kill ends the whole group.
func kill(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
