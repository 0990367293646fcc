// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// Prefixes are the paths that the API is served at.
var Prefixes = []string{"/api/builds/v1alpha1", "/api/build/v1alpha1"}

// Verifier lets calls through that carry a valid access token.
type Verifier interface {
	Middleware(next http.Handler, refuse func(http.ResponseWriter, *http.Request, error)) http.Handler
}

// Registry reads the Drogue registry on behalf of a caller.
type Registry interface {
	// ObjectAs reads an object.
	ObjectAs(ctx context.Context, token string, o build.ObjectRef) (build.Object, error)
	// MayWriteAs reports whether an object may be written.
	MayWriteAs(ctx context.Context, token string, o build.ObjectRef) (bool, error)
	// ApplicationsAs lists the applications that may be read.
	ApplicationsAs(ctx context.Context, token string) ([]build.Listed, error)
	// DevicesAs lists the devices of an application.
	DevicesAs(ctx context.Context, token, application string) ([]build.Listed, error)
	// EachApplicationAs calls f for each application that may be read, of those that a label selector
	// finds.
	EachApplicationAs(ctx context.Context, token, labels string, f func(build.ObjectRef, build.Object) error) error
	// DevicesPageAs calls f for some devices of an application, with the place of each on the page, and
	// returns how many there are: fewer than its limit at the end.
	DevicesPageAs(
		ctx context.Context, token string, p build.DevicesPage, f func(at int, o build.ObjectRef, device build.Object) error,
	) (int, error)
	// SetFirmwareAs replaces the section spec.firmware of an object by what change returns.
	SetFirmwareAs(
		ctx context.Context, token string, o build.ObjectRef, change func(build.Object) (json.RawMessage, error),
	) error
}

// Objects reads the Drogue registry as the user of the installation, who builds.
type Objects interface {
	Object(ctx context.Context, o build.ObjectRef) (build.Object, error)
}

// State is the present state of builds.
type State interface {
	// Find returns the build of a run by its name, or [build.ErrNotFound].
	Find(name string) (build.Run, error)
	// List returns the builds that a query selects, in no particular order.
	List(q build.Query) []build.Run
	// Each calls f for each of them. It may be stored, and must not be changed.
	Each(q build.Query, f func(*build.Run))
	// Watch calls f for each change until stop is called. f must return quickly.
	Watch(f func(r build.Run, deleted bool)) (stop func())
}

// Runs reads single builds.
type Runs interface {
	// Get reads a build in full, or returns [build.ErrNotFound].
	Get(ctx context.Context, id string) (build.Run, error)
	// Log calls f for each step with its name and what it printed, nil for what is gone. It returns
	// [build.ErrLogGone] if all of it is.
	Log(ctx context.Context, id string, o build.LogOptions, f func(step string, output io.Reader) error) error
}

// Secrets are those that forges sign the deliveries of webhooks with.
type Secrets interface {
	// Secrets returns those of an application, none for one that no forge may call about.
	Secrets(application string) ([]string, error)
}

// Options configure a handler.
type Options struct {
	Log   *slog.Logger
	Clock func() time.Time
	// NewID mints the ids of builds, UUIDs of version 7.
	NewID func() string
	// Applications are the only ones that may be built; all if empty (A26).
	Applications []string
	// Policy is what may be built, and where to.
	Policy build.Policy
	// Origins may call from a browser, "https://host" each; none if empty.
	Origins []string
	// Needs is what a caller needs to trigger, cancel and publish; the role alone if empty.
	Needs Rights
	// Limits bound what one caller, and one application, may use.
	Limits Limits
	// Streams says how often a stream of events does something by itself.
	Streams Streams
	// Refused counts a call that was not carried out, by the code of its problem, such as
	// "Unauthorized", "Forbidden" or "TooManyRequests"; nothing is counted if nil.
	Refused func(ctx context.Context, code string)
	// User is the name of the installation's user in the Drogue registry.
	User string
	// Info is what everybody may know.
	Info Info
}

// Deps are what a handler works with.
type Deps struct {
	Verifier Verifier
	Registry Registry
	Objects  Objects
	State    State
	Runs     Runs
	Sender   event.Sender
	// Hooks may be nil: then no delivery of a webhook is taken.
	Hooks Secrets
	// Artifacts may be nil: then none is read.
	Artifacts Artifacts
	// Pages answers what is no path of the API; the API does if it is nil, with 404.
	Pages http.Handler
}

type handler struct {
	registry  Registry
	objects   Objects
	state     State
	runs      Runs
	sender    event.Sender
	artifacts Artifacts
	devices   devices
	fleets    *lru.Cache[string, Fleet]
	counting  singleflight.Group
	limits    limits
	reading   counter
	streams   counter
	hub       hub
	hooks     hooks
	Options
}

// New returns the handler of all paths below [Prefixes].
func New(d Deps, o Options) http.Handler {
	h := &handler{
		registry: d.Registry, objects: d.Objects, state: d.State, runs: d.Runs, sender: d.Sender, devices: newDevices(),
		fleets: newCache[Fleet](),
		limits: newLimits(o.Limits), hooks: newHooks(d.Hooks), artifacts: d.Artifacts, Options: o,
	}
	h.Streams.Beat = cmp.Or(h.Streams.Beat, 15*time.Second)
	h.Streams.Renew = cmp.Or(h.Streams.Renew, 30*time.Second)
	h.hub.make = h.changed
	d.State.Watch(h.hub.changed) // as long as the process lives
	calls := d.Verifier.Middleware(http.HandlerFunc(h.route), h.refuse)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if application, ok := hookOf(r); ok {
			h.deliver(w, r, application)
			return
		}
		switch {
		case d.Pages != nil && !isOurs(r):
			d.Pages.ServeHTTP(w, r)
		case h.crossOrigin(w, r):
		case r.URL.EscapedPath() == PathInfo:
			h.getInfo(w, r)
		case isOpenAPI(r):
			h.getOpenAPI(w, r)
		default:
			calls.ServeHTTP(w, r)
		}
	})
}

// isOurs reports whether a path is one of the API.
func isOurs(r *http.Request) bool {
	path := r.URL.EscapedPath()
	return path == PathInfo || slices.ContainsFunc(Prefixes, func(p string) bool {
		rest, ok := strings.CutPrefix(path, p)
		return ok && (rest == "" || rest[0] == '/')
	})
}

// crossOrigin answers a browser's preflight (AJ-3) and reports whether it did.
// Only configured origins are allowed, each by its name.
func (h *handler) crossOrigin(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	preflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
	if slices.Contains(h.Origins, origin) {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set(
			"Access-Control-Expose-Headers",
			"Accept-Ranges, Content-Disposition, Content-Range, ETag, Link, Location, Retry-After, X-Total-Count",
		)
		if preflight {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
			w.Header().Set(
				"Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match",
			)
			w.Header().Set("Access-Control-Max-Age", "3600")
		}
	}
	if preflight {
		w.WriteHeader(http.StatusNoContent)
	}
	return preflight
}

func reply(w http.ResponseWriter, status int, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return replyRaw(w, status, data)
}

func replyRaw(w http.ResponseWriter, status int, data []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n'))
	return nil
}
