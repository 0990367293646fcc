// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"encoding/json"
	"strconv"
	"time"
)

// Drift says how the firmware that a device runs differs from the one that it is to run, as the update
// server knows it (contract 4.4).
type Drift struct {
	State DriftState `json:"state"`
	// Wanted is the version that is delivered, the tag of the image; empty for what is in hawkBit.
	Wanted string `json:"wanted,omitempty"`
	// Built is the version that the newest build was given, if that has succeeded.
	Built string `json:"built,omitempty"`
	// Running is the version that the device reported last, Target the one that it was offered then.
	Running string `json:"running,omitempty"`
	Target  string `json:"target,omitempty"`
	// Progress is that of an update, in percent.
	Progress float64 `json:"progress,omitempty"`
	// Since is when the state began.
	Since time.Time `json:"since,omitzero"`
	// Message says more: why the state is not known, or why nothing is delivered.
	Message string `json:"message,omitempty"`
}

// DriftState is one of a closed list, which drg shows, too.
type DriftState string

// The states of a device.
const (
	// InSync is that of a device which runs what it is to run.
	InSync DriftState = "InSync"
	// Updating is that of a device which is taking a firmware.
	Updating DriftState = "Updating"
	// NotInSync is that of a device which runs something else.
	NotInSync DriftState = "NotInSync"
	// DriftUnknown is that of a device which has reported nothing yet, or whose status cannot be read.
	DriftUnknown DriftState = "Unknown"
)

// DriftStates is the closed list of states.
var DriftStates = []string{string(InSync), string(Updating), string(NotInSync), string(DriftUnknown)}

// sectionStatus is the section of a device's status that the update server writes.
const sectionStatus = "firmware"

// DriftOf reads the drift of a device. Its description, and the record of the object that has the
// description, are its own or those of its application.
func DriftOf(device Object, d Description, r Record) Drift {
	drift := Drift{State: DriftUnknown, Wanted: d.Tag()}
	if r.Phase == Succeeded && r.Artifact != nil {
		drift.Built = r.Artifact.Version
	}
	raw := device.Status(sectionStatus)
	if raw == nil {
		drift.Message = "The device has reported nothing yet"
		return drift
	}
	var status struct {
		Current    *string     `json:"current"`
		Target     *string     `json:"target"`
		Conditions []Condition `json:"conditions"`
	}
	if json.Unmarshal(raw, &status) != nil || status.Current == nil || status.Target == nil || status.Conditions == nil {
		drift.Message = "The update server cannot read status.firmware of the device: remove that section, or build " +
			"once, which repairs it"
		return drift
	}
	drift.Running, drift.Target = *status.Current, *status.Target
	inSync, progress := conditionOf(status.Conditions, "InSync"), conditionOf(status.Conditions, "UpdateProgress")
	drift.Since = inSync.LastTransitionTime
	percent, err := strconv.ParseFloat(progress.Message, 64)
	switch {
	case inSync.Status == "True":
		drift.State = InSync
	case inSync.Status == "False" && progress.Type != "" && err == nil && percent >= 0 && percent <= 100:
		drift.State, drift.Progress = Updating, percent
	case inSync.Status == "False":
		drift.State = NotInSync
		if inSync.Message != "" || inSync.Reason != "" {
			drift.Message = Clean(inSync.Message + ": " + inSync.Reason)
		}
	default:
		drift.Message = "The device has reported nothing yet"
	}
	return drift
}

func conditionOf(list []Condition, kind string) Condition {
	for _, c := range list {
		if c.Type == kind {
			return c
		}
	}
	return Condition{}
}
