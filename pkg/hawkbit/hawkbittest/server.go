// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbittest

import (
	"bytes"
	"crypto/md5" //nolint:gosec // what hawkBit sends as an ETag
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Generation is the version that a server behaves as.
type Generation string

// The generations that were recorded.
const (
	V0 Generation = "0.4.1"
	V1 Generation = "1.0.4"
)

// Options configure a server.
type Options struct {
	// Generation is V1 if it is empty.
	Generation Generation
	// User and Password may call the Management API; "admin" and "admin" if empty.
	User, Password string
	// Token may, too, as a Bearer token, unless it is empty.
	Token string
}

// Server is an http.Handler. Its zero value is not usable: see [New].
type Server struct {
	Options
	mux *http.ServeMux

	mu       sync.Mutex
	next     int64
	limited  int
	modules  []*module
	sets     []*set
	targets  []*target
	settings map[string]any
}

// New returns a server of a fresh tenant "DEFAULT".
func New(o Options) *Server {
	if o.Generation == "" {
		o.Generation = V1
	}
	if o.User == "" {
		o.User, o.Password = "admin", "admin"
	}
	s := &Server{Options: o, mux: http.NewServeMux(), settings: map[string]any{
		keyGatewayEnabled: false, keyGatewayToken: "", "authentication.targettoken.enabled": false, keyAutoclose: false,
		keyMultiAssignments: false,
	}}
	s.routes()
	return s
}

// Keys of a tenant's configuration.
const (
	keyGatewayEnabled = "authentication.gatewaytoken.enabled"
	keyGatewayToken   = "authentication.gatewaytoken.key"
	keyAutoclose      = "repository.actions.autoclose.enabled"

	keyMultiAssignments = "multi.assignments.enabled"
)

// Limit lets the next n calls run into the limit of requests (HBW-17).
func (s *Server) Limit(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limited = n
}

// old reports whether the server is one of before 1.0.
func (s *Server) old() bool { return s.Generation == V0 }

// handler answers a call with a status and a body, or an error. It is called with
// the state locked.
type handler func(r *http.Request) (status int, body any, err error)

func (s *Server) routes() {
	for pattern, h := range map[string]handler{
		"GET /rest/v1/userinfo":                          s.userInfo,
		"GET /rest/v1/softwaremodules":                   s.listModules,
		"POST /rest/v1/softwaremodules":                  s.createModules,
		"GET /rest/v1/softwaremodules/{id}":              s.getModule,
		"DELETE /rest/v1/softwaremodules/{id}":           s.deleteModule,
		"GET /rest/v1/softwaremodules/{id}/artifacts":    s.listArtifacts,
		"POST /rest/v1/softwaremodules/{id}/artifacts":   s.upload,
		"GET /rest/v1/distributionsets":                  s.listSets,
		"POST /rest/v1/distributionsets":                 s.createSets,
		"GET /rest/v1/distributionsets/{id}":             s.getSet,
		"DELETE /rest/v1/distributionsets/{id}":          s.deleteSet,
		"POST /rest/v1/distributionsets/{id}/invalidate": s.invalidateSet,
		"POST /rest/v1/targets":                          s.createTargets,
		"GET /rest/v1/targets/{id}":                      s.getTarget,
		"DELETE /rest/v1/targets/{id}":                   s.deleteTarget,
		"POST /rest/v1/targets/{id}/assignedDS":          s.assign,
		"GET /rest/v1/targets/{id}/assignedDS":           s.assignedSet,
		"GET /rest/v1/targets/{id}/installedDS":          s.installedSet,
		"GET /rest/v1/targets/{id}/actions":              s.listActions,
		"GET /rest/v1/targets/{id}/actions/{action}":     s.getAction,
		"DELETE /rest/v1/targets/{id}/actions/{action}":  s.cancelAction,
		"PUT /rest/v1/targets/{id}/actions/{action}":     s.forceAction,
		"GET /rest/v1/system/configs/{key}":              s.getSetting,
		"PUT /rest/v1/system/configs/{key}":              s.putSetting,
	} {
		s.mux.Handle(pattern, s.management(h))
	}
	for pattern, h := range map[string]handler{
		"GET /{tenant}/controller/v1/{id}":                                   s.poll,
		"GET /{tenant}/controller/v1/{id}/deploymentBase/{action}":           s.deployment,
		"POST /{tenant}/controller/v1/{id}/deploymentBase/{action}/feedback": s.feedback,
		"GET /{tenant}/controller/v1/{id}/cancelAction/{action}":             s.cancellation,
		"POST /{tenant}/controller/v1/{id}/cancelAction/{action}/feedback":   s.cancelFeedback,
		"PUT /{tenant}/controller/v1/{id}/configData":                        nothing,
	} {
		s.mux.Handle(pattern, s.device(h))
	}
	s.mux.Handle("GET /{tenant}/controller/v1/{id}/softwaremodules/{module}/artifacts/{file}", s.download())
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.old() && strings.HasPrefix(r.URL.Path, "/rest/v1/") { // HBW-11
		r.URL.Path = strings.TrimSuffix(r.URL.Path, "/")
	}
	if _, pattern := s.mux.Handler(r); pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := s.mux.Handler(other); pattern != "" {
			w.Header().Add("Allow", method)
		}
	}
	if w.Header().Get("Allow") != "" {
		s.answer(w, r, 0, nil, &fault{status: http.StatusMethodNotAllowed, message: "Method Not Allowed"})
		return
	}
	s.answer(w, r, 0, nil, &fault{status: http.StatusNotFound, message: "Not Found"})
}

// management checks credentials and calls the handler (HBW-2, HBW-17).
func (s *Server) management(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if (user != s.User || password != s.Password) && (s.Token == "" || bearer != s.Token) {
			w.Header().Set("WWW-Authenticate", `Basic realm="hawkBit"`)
			s.answer(w, r, 0, nil, &fault{status: http.StatusUnauthorized, message: "Unauthorized"})
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.limited > 0 {
			s.limited--
			s.answer(w, r, 0, nil, empty(http.StatusTooManyRequests))
			return
		}
		if err := s.refused(r); err != nil {
			s.answer(w, r, 0, nil, err)
			return
		}
		status, body, err := h(r)
		s.answer(w, r, status, body, err)
	})
}

// refused are calls that no handler sees: of a type that cannot be answered, or with characters
// in the path that the firewall of the framework does not let in.
func (s *Server) refused(r *http.Request) error {
	accept := r.Header.Get("Accept")
	if accept != "" && !strings.Contains(accept, "json") && !strings.Contains(accept, "*/*") {
		return empty(http.StatusNotAcceptable)
	}
	path := strings.ToUpper(r.URL.EscapedPath())
	for _, c := range []string{"%3B", "%25", "%2F", "%5C"} {
		if strings.Contains(path, c) {
			status := http.StatusBadRequest
			if s.old() && (c == "%3B" || c == "%25") {
				status = http.StatusInternalServerError
			}
			return &fault{status: status, message: http.StatusText(status)}
		}
	}
	return nil
}

// answer writes what a handler returned (HBW-6, HBW-9).
func (s *Server) answer(w http.ResponseWriter, r *http.Request, status int, body any, err error) {
	kind := "application/hal+json"
	var f *fault
	if errors.As(err, &f) {
		status, body, kind = f.status, f.body(s.old()), "application/json"
	} else if err != nil {
		status, body = http.StatusInternalServerError, map[string]any{"status": 500, "error": err.Error()}
	}
	if strings.HasPrefix(r.Header.Get("Accept"), "application/json") {
		kind = "application/json"
	}
	if body == nil {
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(status)
		return
	}
	data, err := json.Marshal(body)
	if err != nil {
		panic(err) // of our own making
	}
	w.Header().Set("Content-Type", kind+";charset=UTF-8")
	if r.Method == http.MethodGet && status == http.StatusOK {
		etag := fmt.Sprintf(`"0%x"`, md5.Sum(data)) //nolint:gosec // not for security
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

// decode reads a request's body (HBW-7, HBW-26).
func decode(r *http.Request, into any) error {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if kind != "application/json" && kind != "application/hal+json" {
		return &fault{status: http.StatusUnsupportedMediaType, message: "Unsupported Media Type"}
	}
	data, err := io.ReadAll(r.Body)
	if err != nil || json.NewDecoder(bytes.NewReader(data)).Decode(into) != nil {
		return notReadable()
	}
	return nil
}

// number reads an id out of the path (HBW-46).
func number(r *http.Request, name string) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue(name), 10, 64)
	if err != nil {
		return 0, notReadable()
	}
	return id, nil
}

func (s *Server) id() int64 { s.next++; return s.next }

// base is what links begin with: the host of the request (HBW-10).
func base(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

func self(href string) map[string]any {
	return map[string]any{"self": map[string]any{"href": href}}
}

func (s *Server) userInfo(*http.Request) (int, any, error) {
	return http.StatusOK, map[string]any{
		"tenant":      "DEFAULT",
		"username":    s.User,
		"permissions": []string{"ROLE_TENANT_ADMIN"},
	}, nil
}

// nothing accepts a request and has no body to answer with.
func nothing(*http.Request) (int, any, error) { return http.StatusOK, nil, nil }
