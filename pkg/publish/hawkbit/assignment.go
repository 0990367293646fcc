// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbit

import (
	"context"
	"errors"
	"fmt"
)

// assign gives the set to the target. Actions of other sets are ended first: a
// device is only offered the oldest cancellation otherwise, which the update server
// does not answer (HB-2).
func (p *publication) assign(ctx context.Context, set int64) (int64, error) {
	if err := p.hawkbit.EnsureTarget(ctx, p.Controller); err != nil {
		return 0, err
	}
	own, err := p.activeAction(ctx, set)
	if err != nil {
		return 0, err
	}
	if err := p.end(ctx, func(action int64) bool { return action != own }); err != nil {
		return 0, err
	}
	answer, err := p.hawkbit.Assign(ctx, p.Controller, set)
	if err != nil {
		return 0, err
	}
	if now, err := p.hawkbit.Assigned(
		ctx,
		p.Controller,
	); err != nil || now.ID != set ||
		answer.Assigned+answer.AlreadyAssigned != 1 {
		return 0, errors.Join(err, refusal("the target does not have the distribution set that was assigned"))
	}
	var action int64
	if len(answer.AssignedActions) == 1 {
		action = answer.AssignedActions[0].ID
	} else if action, err = p.activeAction(ctx, set); err != nil { // it was assigned before
		return 0, err
	}
	// Somebody may have assigned a second set in between. What is newer stays.
	return action, p.end(ctx, func(other int64) bool { return other < action })
}

// end ends the active actions of the target that are chosen by their ids.
func (p *publication) end(ctx context.Context, chosen func(int64) bool) error {
	all, err := p.hawkbit.Actions(ctx, p.Controller, 0)
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.IsActive() && chosen(a.ID) {
			fmt.Fprintf(p.Log, "ending action %d of %s\n", a.ID, p.Controller)
			if err := p.hawkbit.Cancel(ctx, p.Controller, a.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *publication) activeAction(ctx context.Context, set int64) (int64, error) {
	list, err := p.hawkbit.Actions(ctx, p.Controller, set)
	for _, a := range list {
		if a.IsUpdate() {
			return a.ID, err
		}
	}
	return 0, err
}
