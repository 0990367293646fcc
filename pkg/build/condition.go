// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// The condition types of the seed. Types that the update server uses, InSync
// and UpdateProgress, are never ours (COND-4).
const (
	ConditionStatus   = "BuildStatus"
	ConditionProgress = "BuildProgress"
)

// Condition is one entry of a Drogue condition list (contract 4.1).
type Condition struct {
	Type               string    `json:"type"`
	Status             string    `json:"status"`
	Reason             string    `json:"reason,omitempty"`
	Message            string    `json:"message,omitempty"`
	LastTransitionTime time.Time `json:"lastTransitionTime"`
}

// Conditions returns the two conditions that report the state, without times
// (A11, A12): BuildStatus is True after success, False after a failure and
// Unknown before; BuildProgress says how far it came.
func (s Status) Conditions() [2]Condition {
	state := Condition{Type: ConditionStatus, Status: "Unknown", Reason: string(s.Reason), Message: s.text()}
	progress := Condition{Type: ConditionProgress, Status: "Unknown", Message: fmt.Sprintf("%.1f %%", s.Progress)}
	switch s.Phase {
	case Succeeded:
		state.Status, progress.Status = "True", "True"
	case Failed, Cancelled:
		state.Status, progress.Status = "False", "False"
	case Queued, Running:
	}
	return [2]Condition{state, progress}
}

// text is the message, followed by the warnings.
func (s Status) text() string {
	text := s.Message
	if len(s.Warnings) > 0 {
		if text != "" && !strings.HasSuffix(text, ".") {
			text += "."
		}
		text += " Warning: " + strings.Join(s.Warnings, "; ")
	}
	return Clean(text)
}

// maxMessage bounds a message in bytes. It has to fit into an object that the
// registry limits to 64 KiB as a whole.
const maxMessage = 1024

// Clean makes text from a build fit for a condition: control characters, which
// the registry refuses or a terminal obeys, become spaces; blanks are folded;
// and what is too long is cut.
func Clean(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == unicode.ReplacementChar || unicode.In(c, unicode.Cf) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, " "))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage-len("…")], "") + "…"
	}
	return s
}
