// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import "encoding/json"

// Object is the part of a Drogue object that matters here.
type Object interface {
	// Firmware returns the section spec.firmware, nil if there is none.
	Firmware() json.RawMessage
	// Status returns a section of the status, nil if there is none.
	Status(section string) json.RawMessage
	// SetStatus replaces a section of the status, or removes it if the value is nil.
	SetStatus(section string, value json.RawMessage)
}
