// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import "encoding/json"

// Object is the part of a Drogue object that a status writer works on: the
// sections of its status, by name.
type Object interface {
	// Status returns a section, nil if there is none.
	Status(section string) json.RawMessage
	// SetStatus replaces a section.
	SetStatus(section string, value json.RawMessage)
}
