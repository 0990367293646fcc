// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"context"
	"log/slog"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// Runs creates runs, and reads what the state does not have.
type Runs interface {
	// Create creates a pending run; one that exists already is left as it is.
	Create(ctx context.Context, s build.Spec) error
	// Get reads a build in full, or returns [build.ErrNotFound].
	Get(ctx context.Context, id string) (build.Run, error)
	// ListObject reads the builds of an object as they are now.
	ListObject(ctx context.Context, o build.ObjectRef) ([]build.Run, error)
}

// Canceller ends runs: see [Actions].
type Canceller interface {
	Cancel(ctx context.Context, r build.Run, reason build.Reason, by string) error
}

// Objects reads the device registry with the service's own credentials.
type Objects interface {
	Object(ctx context.Context, o build.ObjectRef) (build.Object, error)
}

// Lister lists the objects of the device registry.
type Lister interface {
	EachApplication(ctx context.Context, f func(build.ObjectRef, build.Object) error) error
	EachDevice(ctx context.Context, application string, f func(build.ObjectRef, build.Object) error) error
}

// Finder finds the build of a run by its name, or returns [build.ErrNotFound].
type Finder interface {
	Find(name string) (build.Run, error)
}

// Options configure a handler.
type Options struct {
	Log   *slog.Logger
	Clock func() time.Time
	// Events verifies what comes in.
	Events event.Options
	// Applications are the only ones that are built when they change; all if empty (A26).
	Applications []string
	// Policy is what may be built, and where to.
	Policy build.Policy
	// IgnoreChanges keeps changes of descriptions from starting builds (A23).
	IgnoreChanges bool
}

// Deps are what a handler works with.
type Deps struct {
	State     Finder
	Runs      Runs
	Canceller Canceller
	Objects   Objects
	List      Lister
	Sender    event.Sender
}

type handler struct {
	state   Finder
	runs    Runs
	cancel  Canceller
	objects Objects
	list    Lister
	sender  event.Sender
	Options
}

func newHandler(d Deps, o Options) *handler {
	return &handler{d.State, d.Runs, d.Canceller, d.Objects, d.List, d.Sender, o}
}
