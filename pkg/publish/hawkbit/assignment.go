// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbit

import (
	"context"
	"errors"
	"fmt"

	client "github.com/drogue-iot/ajour/pkg/hawkbit"
)

// assign gives the set to the target, and returns the action that offers it, 0 if the target
// has it installed. An assignment that stands is left as it is: with multi-assignments, a
// second one would end it (HBW-81). Older actions are ended afterwards, and not before: a
// refusal would leave the device with nothing. They have to be ended, since a device is only
// offered the oldest cancellation otherwise, which the update server does not answer (HB-2).
func (p *publication) assign(ctx context.Context, set int64) (int64, error) {
	action, stands, err := p.standing(ctx, set)
	if err != nil {
		return 0, err
	}
	if !stands {
		if action, err = p.newAssignment(ctx, set); err != nil {
			return 0, err
		}
	}
	return action, p.end(ctx, 0, func(a client.Action) bool {
		// Somebody may have assigned a second set in between. What is newer stays.
		return a.ID < action || action == 0 && !a.IsUpdate()
	})
}

// standing reports whether the target has the set, installed or on its way. What is left of
// an assignment that does not offer it any more is ended: hawkBit takes it for one that
// stands.
func (p *publication) standing(ctx context.Context, set int64) (action int64, stands bool, err error) {
	assigned, err := p.hawkbit.Assigned(ctx, p.Controller)
	if err != nil || assigned.ID != set {
		return 0, false, err
	}
	own, err := p.onItsWay(ctx, set)
	if err != nil {
		return 0, false, err
	}
	if own.ID != 0 {
		return own.ID, true, p.force(ctx, set, own)
	}
	installed, err := p.hawkbit.Installed(ctx, p.Controller)
	if err != nil || installed.ID == set {
		return 0, err == nil, err
	}
	return 0, false, p.end(ctx, set, func(client.Action) bool { return true })
}

func (p *publication) newAssignment(ctx context.Context, set int64) (int64, error) {
	answer, err := p.hawkbit.Assign(ctx, p.Controller, set)
	if err != nil {
		return 0, err
	}
	now, err := p.hawkbit.Assigned(ctx, p.Controller)
	if err != nil || now.ID != set {
		return 0, errors.Join(err, refusal("the target does not have the distribution set that was assigned"))
	}
	if len(answer.AssignedActions) == 1 {
		return answer.AssignedActions[0].ID, nil
	}
	own, err := p.onItsWay(ctx, set) // a second publish was faster
	if err == nil && own.ID == 0 {
		err = refusal("the distribution set is assigned, but hawkBit does not offer it to the target: publish it again")
	}
	return own.ID, err
}

// force makes an action what was asked for, a forced one (HBW-96), or says what it is.
func (p *publication) force(ctx context.Context, set int64, a client.Action) error {
	if !a.Forced() {
		fmt.Fprintf(p.Log, "forcing action %d of %s\n", a.ID, p.Controller)
		if err := p.hawkbit.Force(ctx, p.Controller, a.ID); err != nil {
			return err
		}
		var err error
		if a, err = p.onItsWay(ctx, set); err != nil {
			return err
		}
	}
	var what string
	switch {
	case a.Waits():
		what = "waits for a confirmation"
	case a.HasWindow():
		what = "waits for a maintenance window"
	case !a.Forced():
		what = "is of the type " + a.ForceType
	default:
		return nil
	}
	return refusal(fmt.Sprintf(
		"%s:%s is on its way to %s already, by action %d, which %s: end it in hawkBit, and publish again",
		p.Name, p.Version, p.Controller, a.ID, what,
	))
}

// end ends the active actions of the target that are chosen, of one set unless that is 0.
func (p *publication) end(ctx context.Context, set int64, chosen func(client.Action) bool) error {
	all, err := p.hawkbit.Actions(ctx, p.Controller, set)
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.IsActive() && chosen(a) {
			fmt.Fprintf(p.Log, "ending action %d of %s\n", a.ID, p.Controller)
			if err := p.hawkbit.Cancel(ctx, p.Controller, a.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// onItsWay returns the action that offers a set to the target, the zero one for none.
func (p *publication) onItsWay(ctx context.Context, set int64) (client.Action, error) {
	list, err := p.hawkbit.Actions(ctx, p.Controller, set)
	for _, a := range list {
		if a.IsUpdate() {
			return a, err
		}
	}
	return client.Action{}, err
}
