// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import "github.com/drogue-iot/ajour/pkg/build"

// Build is a build as the API shows it.
type Build struct {
	// Application, Device and Phase are, with the times of the status, what existing clients
	// read (contract 5.4, AJ-1).
	Application string `json:"app"`
	Device      string `json:"device,omitempty"`
	Phase       string `json:"status"`

	ID        string `json:"id"`
	Requester string `json:"requester,omitempty"`
	build.Status
	// Recorded reports whether the object shows the end of the build, or a newer build. It is
	// there for a single build that has ended.
	Recorded *bool `json:"recorded,omitempty"`
}

// Unbuilt is an object in the list of newest builds that has a description, and no build.
type Unbuilt struct {
	Application string `json:"app"`
	Device      string `json:"device,omitempty"`
}

func show(runs []build.Run) []Build {
	list := make([]Build, len(runs))
	for i, r := range runs {
		list[i] = Build{
			Application: r.Object.Application,
			Device:      r.Object.Device,
			Phase:       string(r.Phase),
			ID:          r.ID,
			Requester:   r.Requester,
			Status:      r.Status.UTC(),
		}
	}
	return list
}
