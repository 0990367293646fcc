// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"context"
	"errors"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// changed looks at an object that changed, and asks for a build if its
// description is not that of the newest build. The request goes through the
// broker like any other, so that there is one way in which builds begin.
func (h *handler) changed(ctx context.Context, c event.Change) error {
	if h.IgnoreChanges || !c.Relevant() {
		return nil
	}
	section, err := h.objects.Firmware(ctx, c.Target)
	if errors.Is(err, build.ErrNoObject) || errors.Is(err, build.ErrForbidden) {
		return nil // gone, or none of ours
	}
	if err != nil {
		return err
	}
	runs, err := h.runs.List(ctx, c.Target)
	if err != nil {
		return err
	}
	newest := newestOf(runs)
	switch d := decideChange(section, c.Target, newest); {
	case d.rejection != nil:
		d.rejection.Time = h.Clock()
		h.Log.WarnContext(ctx, "description rejected", "target", c.Target.String(), "message", d.rejection.Message)
		return h.reject(ctx, *d.rejection)
	case d.request != nil:
		d.request.Time = h.Clock()
		ev, err := event.Requested(event.SourceBuilder, *d.request)
		if err != nil {
			return err
		}
		h.Log.InfoContext(ctx, "description changed", "build", d.request.ID, "target", c.Target.String())
		return h.sender.Send(ctx, ev)
	default:
		return nil
	}
}
