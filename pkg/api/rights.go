// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/drogue-iot/ajour/pkg/auth"
	"github.com/drogue-iot/ajour/pkg/build"
)

// Rights are what a caller needs besides the right to read an object, to have it built, to cancel
// its builds and to publish what they left.
type Rights string

// The rights.
const (
	// NeedsRole is the role trigger-build of the token.
	NeedsRole Rights = "role"
	// NeedsWrite is the right to write the object in the registry: whoever may change its
	// description has it built by that.
	NeedsWrite Rights = "write"
	// NeedsBoth is both.
	NeedsBoth Rights = "both"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rights) UnmarshalText(text []byte) error {
	switch v := Rights(text); v {
	case NeedsRole, NeedsWrite, NeedsBoth:
		*r = v
		return nil
	default:
		return fmt.Errorf("%q is none of %q, %q and %q", text, NeedsRole, NeedsWrite, NeedsBoth)
	}
}

func (h *handler) hasRole(c *call) error {
	if h.Needs != NeedsWrite && !c.principal.MayTrigger {
		return problem(
			http.StatusForbidden, "Forbidden",
			"Your token lacks the right "+auth.TriggerRole+": ask for the role of that name",
		)
	}
	return nil
}

// mayWrite looks whether the caller may write the object of a call, if that is needed, and sends
// a problem if not. The caller must have been found to be able to read it before that is
// answered.
func (h *handler) mayWrite(c *call) <-chan error {
	answer := make(chan error, 1)
	if h.Needs != NeedsWrite && h.Needs != NeedsBoth {
		answer <- nil
		return answer
	}
	object := c.object
	go func() { answer <- h.writes(c, object) }()
	return answer
}

// writes asks the registry whether the caller, who may read an object, may write it.
func (h *handler) writes(c *call, object build.ObjectRef) error {
	may, err := h.registry.MayWriteAs(c.Context(), c.principal.Token, object)
	if err == nil && !may {
		return problem(http.StatusForbidden, "Forbidden", fmt.Sprintf(
			"You may read the application %q, and not write it: ask for the role manager in it", object.Application,
		))
	}
	return err
}

// readable looks whether the installation can read the object of a call, and sends a problem
// that says what to do if it never will: nothing would be built, and the object, which could
// not be written either, would not say why. The caller must have been found to be able to read
// it before that is answered.
func (h *handler) readable(c *call) <-chan error {
	answer := make(chan error, 1)
	object := c.object
	go func() {
		_, err := h.objects.Object(c.Context(), object)
		if errors.Is(err, build.ErrNoObject) || errors.Is(err, build.ErrForbidden) {
			answer <- problem(http.StatusConflict, "NotAMember", fmt.Sprintf(
				"The user %q of this installation is no member of the application %q, and cannot build it: "+
					"add it to the members as manager", h.User, object.Application,
			))
			return
		}
		answer <- nil // one that is away may come back until the builder reads
	}()
	return answer
}
