// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"fmt"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/build"
)

// The types of Drogue's registry change events (contract 3.2).
const (
	TypeApplicationChange = "io.drogue.registry.change.application"
	TypeDeviceChange      = "io.drogue.registry.change.device"
)

// Change is what is read of a registry change event: which object to read.
type Change struct {
	Object build.ObjectRef
	// Subject is the one path that changed, such as ".spec.firmware".
	Subject string
}

// Relevant reports whether the change can concern a build description: the
// object came or went, or its firmware section changed (EVT-2). The subject is
// compared as a whole, since section names may hold dots. A change of status is
// never relevant: the status service makes them itself.
func (c Change) Relevant() bool {
	return c.Subject == "." || c.Subject == ".metadata" || c.Subject == ".spec.firmware"
}

// DecodeChange reads a registry change event. The names come from the
// extensions: source and key hold them unescaped (contract 3.2).
func DecodeChange(ev cloudevents.Event) (Change, error) {
	c := Change{Subject: ev.Subject()}
	c.Object.Application, _ = ev.Extensions()["application"].(string)
	c.Object.Device, _ = ev.Extensions()["device"].(string)
	if (ev.Type() == TypeDeviceChange) != (c.Object.Device != "") {
		return c, fmt.Errorf("%w: %s with device %q", ErrMalformed, ev.Type(), c.Object.Device)
	}
	if err := c.Object.Validate(); err != nil {
		return c, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return c, nil
}
