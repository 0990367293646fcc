// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import "github.com/drogue-iot/ajour/pkg/build"

// brevity is how much is left out of a state, for an object that has no room for all of it:
// the registry limits an object to 64 KiB. The end of a build has to fit where its beginning
// did.
type brevity int

const (
	// whole leaves nothing out.
	whole brevity = iota
	// brief leaves out what can be found elsewhere: the warnings of the description, and what
	// was published.
	brief
	// terse leaves out the message, too.
	terse
	// bare leaves the conditions alone.
	bare
)

const messageNoRoom = "The object has no room for more"

func (b brevity) shorten(run build.Run) build.Run {
	if b >= brief {
		run.Warnings, run.Artifact = nil, nil
	}
	if b >= terse {
		run.Message = messageNoRoom
	}
	return run
}
