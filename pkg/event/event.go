// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"errors"
	"fmt"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/build"
)

// The types of our own events. Each carries a signature: see [Keys].
const (
	TypeRequested = "io.drogue.ajour.build.requested.v1"
	TypeRepublish = "io.drogue.ajour.build.republish.v1"
	TypeCancelled = "io.drogue.ajour.build.cancelled.v1"
	TypeRejected  = "io.drogue.ajour.build.rejected.v1"
	TypePushed    = "io.drogue.ajour.source.pushed.v1"
	TypeStarted   = "io.drogue.ajour.build.started.v1"
	TypeFinished  = "io.drogue.ajour.build.finished.v1"
)

// ownPrefix starts the types of all of our events.
const ownPrefix = "io.drogue.ajour."

// isOwn reports whether an event claims to be one of ours.
func isOwn(ev cloudevents.Event) bool { return strings.HasPrefix(ev.Type(), ownPrefix) }

// The services as sources of events.
const (
	SourceAPI     = "/ajour/api"
	SourceBuilder = "/ajour/builder"
	SourceStatus  = "/ajour/status"
)

// ErrMalformed says that an event can never be understood: it is not redelivered.
var ErrMalformed = errors.New("malformed event")

// Requested asks for a build. A request that is sent twice has the same id.
func Requested(source string, r build.Request) (cloudevents.Event, error) {
	return encode(TypeRequested, source, r.ID, r.Object, r.Time, r)
}

// Republish asks to publish what an earlier build compiled. The id is that of the new build.
func Republish(source string, r build.Republish) (cloudevents.Event, error) {
	return encode(TypeRepublish, source, r.ID, r.Object, r.Time, r)
}

// Cancelled asks for the end of a build. At most one such event per build counts.
func Cancelled(source string, c build.Cancellation) (cloudevents.Event, error) {
	return encode(TypeCancelled, source, c.ID+"/cancelled", c.Object, c.Time, c)
}

// Rejected says that a build was refused before it became a run.
func Rejected(source string, r build.Rejection) (cloudevents.Event, error) {
	return encode(TypeRejected, source, r.ID+"/rejected", r.Object, r.Time, r)
}

// Pushed says that somebody has pushed to a repository. One that the forge delivers twice is two
// events.
func Pushed(source, id string, p build.Push) (cloudevents.Event, error) {
	return encode(TypePushed, source, id, build.ObjectRef{Application: p.Application}, p.Time, p)
}

// Started announces that a build runs. It is a hint: a build that ends at once has none, and it may
// arrive after the end.
func Started(source string, r build.Run) (cloudevents.Event, error) {
	return encode(TypeStarted, source, r.ID+"/started", r.Object, r.Started, r)
}

// Finished announces the end of a build. It may be sent more than once, with the same
// source and id, which is how CloudEvents identifies duplicates. A build that was given up
// before it had a run may end a second time, in a different phase.
func Finished(source string, r build.Run) (cloudevents.Event, error) {
	return encode(TypeFinished, source, r.ID+"/"+string(r.Phase), r.Object, r.Completed, r)
}

func encode(kind, source, id string, object build.ObjectRef, at time.Time, data any) (cloudevents.Event, error) {
	ev := cloudevents.NewEvent()
	ev.SetType(kind)
	ev.SetSource(source)
	ev.SetID(id)
	ev.SetTime(at)
	ev.SetExtension("application", object.Application)
	if object.Device != "" {
		ev.SetExtension("device", object.Device)
	}
	ev.SetExtension("partitionkey", object.String())
	if err := ev.SetData(cloudevents.ApplicationJSON, data); err != nil {
		return ev, fmt.Errorf("encode %s: %w", kind, err)
	}
	return ev, nil
}

// DecodeRequested reads a build.requested.
func DecodeRequested(ev cloudevents.Event) (build.Request, error) { return decode[build.Request](ev) }

// DecodeRepublish reads a build.republish.
func DecodeRepublish(ev cloudevents.Event) (build.Republish, error) {
	return decode[build.Republish](ev)
}

// DecodeCancelled reads a build.cancelled.
func DecodeCancelled(ev cloudevents.Event) (build.Cancellation, error) {
	return decode[build.Cancellation](ev)
}

// DecodeRejected reads a build.rejected.
func DecodeRejected(ev cloudevents.Event) (build.Rejection, error) {
	return decode[build.Rejection](ev)
}

// DecodeBuild reads a build.started or a build.finished.
func DecodeBuild(ev cloudevents.Event) (build.Run, error) { return decode[build.Run](ev) }

// DecodePushed reads a source.pushed.
func DecodePushed(ev cloudevents.Event) (build.Push, error) { return decode[build.Push](ev) }

func decode[T interface{ Validate() error }](ev cloudevents.Event) (data T, err error) {
	if err := ev.DataAs(&data); err != nil {
		return data, fmt.Errorf("%w: %s: %w", ErrMalformed, ev.Type(), err)
	}
	if err := data.Validate(); err != nil {
		return data, fmt.Errorf("%w: %s: %w", ErrMalformed, ev.Type(), err)
	}
	return data, nil
}
