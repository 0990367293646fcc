// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"errors"
	"fmt"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/build"
)

// The types of our own events.
const (
	TypeRequested = "io.drogue.ajour.build.requested.v1"
	TypeCancelled = "io.drogue.ajour.build.cancelled.v1"
	TypeRejected  = "io.drogue.ajour.build.rejected.v1"
	TypeFinished  = "io.drogue.ajour.build.finished.v1"
)

// The services as sources of events.
const (
	SourceAPI     = "/ajour/api"
	SourceBuilder = "/ajour/builder"
	SourceStatus  = "/ajour/status"
)

// ErrMalformed says that an event can never be understood: it is not delivered again.
var ErrMalformed = errors.New("malformed event")

// Requested asks for a build. A request that is sent twice has the same id.
func Requested(source string, r build.Request) (cloudevents.Event, error) {
	return encode(TypeRequested, source, r.ID, r.Target, r.Time, r)
}

// Cancelled asks for the end of a build. At most one such event per build counts.
func Cancelled(source string, target build.Target, at time.Time, c build.Cancellation) (cloudevents.Event, error) {
	return encode(TypeCancelled, source, c.ID+"/cancelled", target, at, c)
}

// Rejected says that a build was refused before it became a run.
func Rejected(source string, r build.Rejection) (cloudevents.Event, error) {
	return encode(TypeRejected, source, r.ID+"/rejected", r.Target, r.Time, r)
}

// Finished announces the end of a build. It may be sent more than once, with the
// same source and id, which is how CloudEvents identifies duplicates. A build that was
// given up before it had a run may end once more, in another phase.
func Finished(source string, r build.Run) (cloudevents.Event, error) {
	return encode(TypeFinished, source, r.ID+"/"+string(r.Phase), r.Target, r.Completed, r)
}

func encode(kind, source, id string, target build.Target, at time.Time, data any) (cloudevents.Event, error) {
	ev := cloudevents.NewEvent()
	ev.SetType(kind)
	ev.SetSource(source)
	ev.SetID(id)
	ev.SetTime(at)
	ev.SetExtension("application", target.Application)
	if target.Device != "" {
		ev.SetExtension("device", target.Device)
	}
	ev.SetExtension("partitionkey", target.String())
	if err := ev.SetData(cloudevents.ApplicationJSON, data); err != nil {
		return ev, fmt.Errorf("encode %s: %w", kind, err)
	}
	return ev, nil
}

// DecodeRequested reads a build.requested.
func DecodeRequested(ev cloudevents.Event) (build.Request, error) {
	var r build.Request
	if err := decode(ev, &r); err != nil {
		return r, err
	}
	if err := r.Validate(); err != nil {
		return r, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return r, nil
}

// DecodeCancelled reads a build.cancelled.
func DecodeCancelled(ev cloudevents.Event) (build.Cancellation, error) {
	var c build.Cancellation
	if err := decode(ev, &c); err != nil {
		return c, err
	}
	if !build.ValidID(c.ID) {
		return c, fmt.Errorf("%w: build id is no UUID", ErrMalformed)
	}
	return c, nil
}

// DecodeRejected reads a build.rejected.
func DecodeRejected(ev cloudevents.Event) (build.Rejection, error) {
	var r build.Rejection
	if err := decode(ev, &r); err != nil {
		return r, err
	}
	if !build.ValidID(r.ID) || r.Time.IsZero() {
		return r, fmt.Errorf("%w: build id or time is missing", ErrMalformed)
	}
	if err := r.Target.Validate(); err != nil {
		return r, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return r, nil
}

func decode(ev cloudevents.Event, data any) error {
	if err := ev.DataAs(data); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrMalformed, ev.Type(), err)
	}
	return nil
}
