// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import "context"

// audit writes one line for each action that somebody asked for, whatever became of it: who,
// what, of which object, and how it ended. Calls that only read have none.
func (h *handler) audit(c *call, err error) {
	if c.action == "" {
		return
	}
	outcome, code := "accepted", ""
	if err != nil {
		outcome, code = "refused", asProblem(err).Code
	}
	h.Log.InfoContext(
		c.Context(), "action", "action", c.action, "outcome", outcome, "code", code, "subject", c.principal.Subject,
		"user", c.principal.Name, "application", c.object.Application, "device", c.object.Device, "build", c.build,
	)
}

// refused counts a call that was not carried out, by the code of its problem.
func (h *handler) refused(ctx context.Context, p *Problem) {
	if h.Refused != nil {
		h.Refused(ctx, p.Code)
	}
}
