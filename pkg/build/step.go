// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import "time"

// Step is one of the things that a build does in sequence.
type Step struct {
	// Name is that of the Task or StepAction which carries it out, such as "build-firmware".
	Name  string    `json:"name"`
	State StepState `json:"state"`
	// Started and Completed are zero for a step that has not started, or not ended.
	Started   time.Time `json:"started,omitzero"`
	Completed time.Time `json:"completed,omitzero"`
	// ExitCode is what the step exited with.
	ExitCode int32 `json:"exitCode,omitempty"`
}

// StepState is the state of a step. The list is closed.
type StepState string

// The states of a step.
const (
	StepWaiting   StepState = "Waiting"
	StepRunning   StepState = "Running"
	StepSucceeded StepState = "Succeeded"
	StepFailed    StepState = "Failed"
	// StepCancelled is the state of a step that ran when its build was cancelled or timed out.
	StepCancelled StepState = "Cancelled"
	// StepSkipped is the state of a step that its build ended before.
	StepSkipped StepState = "Skipped"
)
