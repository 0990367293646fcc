// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import "errors"

// Reruns returns why a build cannot be run a second time, of the same commit; nil if it can.
func Reruns(r Run) error {
	switch {
	case r.Active():
		return errors.New("the build has not ended yet")
	case r.Publishes != "":
		return errors.New("the build has compiled nothing: run the one again that it publishes")
	case !ValidCommit(r.Commit):
		return errors.New("the build has ended before its commit was known: ask for a new one")
	default:
		return nil
	}
}
