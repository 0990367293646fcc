// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"strings"

	"github.com/drogue-iot/ajour/pkg/build"
)

// state is one of a commit, as GitHub calls it.
type state string

// The states.
const (
	pending state = "pending"
	success state = "success"
	failure state = "failure"
	// fault is that of a build that says nothing of the commit: somebody ended it, or a newer one took
	// its place.
	fault state = "error"
)

// commitStatus is what a forge shows of a build.
type commitStatus struct {
	// context tells the objects apart that are made of one commit; the newest status of each counts.
	context     string
	state       state
	description string
	link        string
}

// maxDescription is how many characters GitHub takes.
const maxDescription = 140

// prefix begins the description of each status of a build.
func prefix(r build.Run) string { return "Build " + r.ID }

// statusOf returns the status of a build that has begun or ended. Links begin with the URL that
// builds are below, if that is not empty.
func statusOf(r build.Run, below string) commitStatus {
	s := commitStatus{context: "ajour/" + r.Object.PlainName()}
	if below != "" {
		s.link = strings.TrimRight(below, "/") + "/builds/" + r.ID
	}
	text := prefix(r)
	switch r.Phase {
	case build.Succeeded:
		s.state, text = success, text+" succeeded"
		if r.Artifact != nil && r.Artifact.Reference != "" {
			text += ": " + r.Artifact.Reference
		}
	case build.Failed:
		s.state, text = failure, text+" failed: "+string(r.Reason)+" "+r.Message
	case build.Cancelled:
		s.state, text = fault, text+" ended: "+string(r.Reason)
	default:
		s.state, text = pending, text+" runs"
	}
	s.description = shorten(build.Clean(text), maxDescription)
	return s
}

// shorten cuts text after so many characters.
func shorten(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}
