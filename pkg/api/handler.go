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
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/drogue-iot/ajour/pkg/auth"
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
}

// Runs reads single builds.
type Runs interface {
	// Get reads a build in full, or returns [build.ErrNotFound].
	Get(ctx context.Context, id string) (build.Run, error)
	// Log copies the output of a build's steps, until its end if follow is set.
	Log(ctx context.Context, id string, w io.Writer, follow bool) error
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
	// Refused counts a call that was not carried out, by the code of its problem, such as
	// "Unauthorized", "Forbidden" or "TooManyRequests"; nothing is counted if nil.
	Refused func(ctx context.Context, code string)
	// User is the name of the installation's user in the Drogue registry.
	User string
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
}

type handler struct {
	registry Registry
	objects  Objects
	state    State
	runs     Runs
	sender   event.Sender
	devices  devices
	limits   limits
	followed counter
	hooks    hooks
	Options
}

// New returns the handler of all paths below [Prefixes].
func New(d Deps, o Options) http.Handler {
	h := &handler{
		registry: d.Registry, objects: d.Objects, state: d.State, runs: d.Runs, sender: d.Sender, devices: newDevices(),
		limits: newLimits(o.Limits), hooks: newHooks(d.Hooks), Options: o,
	}
	calls := d.Verifier.Middleware(http.HandlerFunc(h.route), h.refuse)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if application, ok := hookOf(r); ok {
			h.deliver(w, r, application)
			return
		}
		if !h.crossOrigin(w, r) {
			calls.ServeHTTP(w, r)
		}
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
		if preflight {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key")
			w.Header().Set("Access-Control-Max-Age", "3600")
		}
	}
	if preflight {
		w.WriteHeader(http.StatusNoContent)
	}
	return preflight
}

// route takes the path apart by hand. Device names may hold anything, and old
// clients put them into the path as they are (AJ-2): the device is all that is
// between "devices/" and "/trigger".
func (h *handler) route(w http.ResponseWriter, r *http.Request) {
	prefix, path := cutPrefix(r.URL.EscapedPath())
	s := strings.Split(strings.TrimPrefix(path, "/"), "/")
	c := &call{Request: r, at: h.Clock(), prefix: prefix}
	c.principal, _ = auth.FromContext(r.Context())
	if err := cmp.Or(h.admit(c), bodyFits(r)); err != nil {
		h.fail(w, c, err)
		return
	}
	n := len(s)
	switch {
	case path == "" || path == "/":
		h.only(w, c, h.listNewest, http.MethodGet)
	case n == 1 && s[0] == "builds":
		h.only(w, c, h.listBuilds, http.MethodGet)
	case n == 2 && s[0] == "builds" && r.Method == http.MethodDelete:
		h.only(w, c.withID(s[1]).as("cancel"), h.cancelBuild, http.MethodDelete)
	case n == 2 && s[0] == "builds":
		h.only(w, c.withID(s[1]), h.getBuild, http.MethodGet, http.MethodDelete)
	case n == 3 && s[0] == "builds" && s[2] == "log":
		h.only(w, c.withID(s[1]), h.getLog, http.MethodGet)
	case n == 3 && s[0] == "builds" && s[2] == "publish":
		h.only(w, c.withID(s[1]).as("publish"), h.republish, http.MethodPost)
	case n == 3 && s[0] == "apps" && s[2] == "trigger":
		c.object = build.ObjectRef{Application: unescape(s[1])}
		h.only(w, c.as("trigger"), h.trigger, http.MethodPost)
	case n >= 5 && s[0] == "apps" && s[2] == "devices" && s[n-1] == "trigger":
		c.object = build.ObjectRef{Application: unescape(s[1]), Device: unescape(strings.Join(s[3:n-1], "/"))}
		if c.object.Device == "" { // it would be the application
			h.fail(w, c, problem(http.StatusBadRequest, "InvalidRequest", "The name of the device is empty"))
			return
		}
		h.only(w, c.as("trigger"), h.trigger, http.MethodPost)
	default:
		h.fail(w, c, problem(http.StatusNotFound, "NotFound", "There is nothing at this path"))
	}
}

func cutPrefix(path string) (prefix, rest string) {
	for _, p := range Prefixes {
		if rest, ok := strings.CutPrefix(path, p); ok && (rest == "" || rest[0] == '/') {
			return p, rest
		}
	}
	return Prefixes[0], path + "/"
}

func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// call is one authenticated request.
type call struct {
	*http.Request
	// at is when it came, before anything was read: whoever reads something newer is newer.
	at        time.Time
	principal auth.Principal
	prefix    string
	object    build.ObjectRef
	// id is that of the build in the path.
	id string
	// action is what somebody asks to be done; empty for a call that only reads.
	action string
	// build is the build that the action is about, as soon as that is known.
	build string
}

func (c *call) as(action string) *call {
	c.action = action
	return c
}

func (c *call) withID(id string) *call {
	c.id, c.build = id, id
	return c
}

// only calls handle if the method is one of those that are allowed.
func (h *handler) only(
	w http.ResponseWriter, c *call, handle func(http.ResponseWriter, *call) error, methods ...string,
) {
	if !slices.Contains(methods, c.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		h.fail(
			w, c,
			problem(http.StatusMethodNotAllowed, "MethodNotAllowed", "Use "+strings.Join(methods, " or ")+" on this path"),
		)
		return
	}
	err := handle(w, c)
	h.audit(c, err)
	if err != nil {
		h.fail(w, c, err)
	}
}

func reply(w http.ResponseWriter, status int, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n'))
	return nil
}
