// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import "errors"

// Publication is the firmware of an earlier build that is republished: from an OCI
// registry to hawkBit, or else from the workspace of that build to all destinations that
// its description names.
type Publication struct {
	// Build is the id of the build that compiled it, Commit what it was made of.
	Build  string `json:"build"`
	Commit string `json:"commit"`
	// Artifact is what is in the OCI registry. From a workspace, it has a version alone.
	Artifact Artifact `json:"artifact"`
	// Claim is the name of the volume claim with the workspace; empty for a firmware
	// that is in an OCI registry.
	Claim string `json:"claim,omitempty"`
}

// Retained is firmware that was compiled but published nowhere; it exists only in its
// build's workspace.
type Retained struct {
	// Build is the id of the build that compiled it: the claim lives as long as its run.
	Build string
	// Claim is the name of the volume claim with the workspace.
	Claim string
	// Version is the REVISION that the builder was given.
	Version string
}

// PublicationOf returns what can be republished of a build, or an error that says
// why nothing can.
func PublicationOf(r Run) (*Publication, error) {
	inRegistry := r.Artifact != nil && r.Artifact.Digest != ""
	p := &Publication{Build: r.ID, Commit: r.Commit}
	switch {
	case r.Active():
		return nil, errors.New("the build has not ended yet")
	case inRegistry && r.Controller == "":
		return nil, errors.New(
			"the description of the build names no hawkBit controller, and its artifact is in the OCI registry already",
		)
	case inRegistry:
		p.Artifact = *r.Artifact
		p.Artifact.Hawkbit = nil
	case r.Retained != nil:
		p.Build, p.Artifact.Version, p.Claim = r.Retained.Build, r.Retained.Version, r.Retained.Claim
	default:
		return nil, errors.New(
			"the build has left no artifact in an OCI registry, and its workspace was not retained (see BUILD_LAYOUT): " +
				"build again",
		)
	}
	return p, nil
}
