// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import "fmt"

var idPattern = pattern(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// ValidID reports whether id has the form of a build id, a UUID in lower case.
func ValidID(id string) bool { return idPattern().MatchString(id) }

var endPattern = pattern(`^[0-9a-f-]{1,36}$`)

// EndOfID reports whether s may be the end of a build id.
func EndOfID(s string) bool { return endPattern().MatchString(s) }

// DerivedID returns a build id that follows from the parts: a UUID of version 8
// (RFC 9562), the same for the same parts.
func DerivedID(parts ...string) string {
	d := []byte(digest(append([]string{"id"}, parts...)...)[:32])
	d[12], d[16] = '8', "89ab"[d[16]&3]
	return fmt.Sprintf("%s-%s-%s-%s-%s", d[:8], d[8:12], d[12:16], d[16:20], d[20:32])
}

// RunName returns the name of the PipelineRun of a build. It is stable: a redelivered
// event finds the run that it created before.
func RunName(id string) string {
	return "fw-" + digest("run", id)[:40]
}
