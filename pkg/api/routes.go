// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/drogue-iot/ajour/pkg/auth"
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/internal/trace"
)

// route is one operation below [Prefixes].
type route struct {
	method string
	// path has a variable for each segment in braces. One that ends with "..." stands for one or
	// more segments: existing clients put names of devices into the path as they are (AJ-2).
	path string
	// params are the parameters of the query that are read.
	params []string
	// action is what is asked to be done; empty for an operation that only reads.
	action string
	handle func(*handler, http.ResponseWriter, *call) error
}

// routes are all operations that need a token.
var routes = []route{
	{http.MethodGet, "/", nil, "", (*handler).listNewest},
	{http.MethodGet, "/events", []string{"application", "device", "build"}, "", (*handler).streamEvents},
	{http.MethodGet, "/builds", listParams, "", (*handler).listBuilds},
	{http.MethodPost, "/builds", nil, "trigger", (*handler).triggerByBody},
	{http.MethodGet, "/builds/{id}", []string{"application", "device", "description"}, "", (*handler).getBuild},
	{http.MethodDelete, "/builds/{id}", nil, "cancel", (*handler).cancelBuild},
	{http.MethodGet, "/builds/{id}/log", logParams, "", (*handler).getLog},
	{http.MethodPost, "/builds/{id}/publish", nil, "publish", (*handler).republish},
	{http.MethodPost, "/builds/{id}/rerun", nil, "rerun", (*handler).rerun},
	{http.MethodGet, "/builds/{id}/artifact", []string{"attachment"}, "", (*handler).getArtifact},
	{http.MethodGet, "/builds/{id}/diff", []string{"with"}, "", (*handler).getDiff},
	{http.MethodGet, "/me", nil, "", (*handler).getMe},
	{http.MethodPost, "/validate", []string{"application", "device"}, "", (*handler).validate},
	{http.MethodGet, "/apps", []string{"labels"}, "", (*handler).listApps},
	{http.MethodGet, "/apps/{app}", nil, "", (*handler).getApp},
	{http.MethodGet, "/apps/{app}/fleet", nil, "", (*handler).getFleet},
	{http.MethodGet, "/apps/{app}/devices", []string{"labels", "state", "limit", "cursor"}, "", (*handler).listDevices},
	{http.MethodGet, "/apps/{app}/device", []string{"name"}, "", (*handler).getDevice},
	{http.MethodPut, "/apps/{app}/firmware", []string{"dry-run"}, "edit", (*handler).putAppFirmware},
	{http.MethodPut, "/apps/{app}/device-firmware", []string{"name", "dry-run"}, "edit", (*handler).putDeviceFirmware},
	{http.MethodPost, "/apps/{app}/trigger", nil, "trigger", (*handler).trigger},
	{http.MethodPost, "/apps/{app}/devices/{device...}/trigger", nil, "trigger", (*handler).trigger},
}

// route carries out the operation that a request asks for. The path is taken apart as it came: a
// ServeMux would clean it, and names of devices may hold anything.
func (h *handler) route(w http.ResponseWriter, r *http.Request) {
	prefix, path := cutPrefix(r.URL.EscapedPath())
	c := &call{Request: r, at: h.Clock(), prefix: prefix}
	c.principal, _ = auth.FromContext(r.Context())
	if err := cmp.Or(h.admit(c), bodyFits(r)); err != nil {
		h.fail(w, c, err)
		return
	}
	o, allowed := operation(r.Method, path, c)
	switch {
	case o != nil:
	case allowed != nil:
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		h.fail(w, c, problem(
			http.StatusMethodNotAllowed, "MethodNotAllowed", "Use "+strings.Join(allowed, " or ")+" on this path",
		))
		return
	default:
		h.fail(w, c, problem(http.StatusNotFound, "NotFound", "There is nothing at this path"))
		return
	}
	c.action = o.action
	trace.Name(r.Context(), o.method+" "+o.path)
	err := c.parse(o.params)
	if err == nil {
		err = o.handle(h, w, c)
	}
	h.audit(c, err)
	if err != nil {
		h.fail(w, c, err)
	}
}

// operation returns the route of a method on a path, and sets what the path names in the call. If
// there is none, it returns the methods that the path has.
func operation(method, path string, c *call) (found *route, allowed []string) {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i := range routes {
		vars, ok := match(strings.Split(routes[i].path[1:], "/"), segments)
		if !ok {
			continue
		}
		if allowed = append(allowed, routes[i].method); routes[i].method != method {
			continue
		}
		c.id, c.build = vars["id"], vars["id"]
		c.object = build.ObjectRef{Application: unescape(vars["app"]), Device: unescape(vars["device"])}
		_, c.device = vars["device"]
		return &routes[i], nil
	}
	return nil, allowed
}

// match compares the segments of a pattern and of a path, and returns the variables, escaped as they
// came.
func match(pattern, path []string) (vars map[string]string, ok bool) {
	vars = map[string]string{}
	for i, p := range pattern {
		name, variable := strings.CutPrefix(p, "{")
		name = strings.TrimSuffix(name, "}")
		if name, many := strings.CutSuffix(name, "..."); many {
			end := len(path) - (len(pattern) - i - 1)
			if end <= i {
				return nil, false
			}
			vars[name] = strings.Join(path[i:end], "/")
			rest, ok := match(pattern[i+1:], path[end:])
			maps.Copy(vars, rest)
			return vars, ok
		}
		if i >= len(path) || !variable && p != path[i] {
			return nil, false
		}
		if variable {
			vars[name] = path[i]
		}
	}
	return vars, len(pattern) == len(path)
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
