// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"strings"
)

// Paths of the second address, which the parts use among themselves. Those of
// subscribers are the names of their Services.
const (
	pathBroker  = "/broker"
	pathBuilder = "/builder"
	pathStatus  = "/status"
	pathNotify  = "/notify"
)

func (p *process) internal() http.Handler {
	return p.sameHost(
		byPath(
			map[string]http.Handler{pathBroker: p.broker, pathBuilder: p.builder, pathStatus: p.status, pathNotify: p.notify},
			http.NotFoundHandler(),
		),
	)
}

// public is what people use. Paths are compared as they came: a ServeMux would
// clean them, and names of devices may be "..", or hold a slash.
func (p *process) public() http.Handler {
	routes := map[string]http.Handler{
		"/api/registry": p.drogue, "/api/admin": p.drogue, "/realms/drogue": p.issuer, "/v2": p.oci,
		"/healthz": http.HandlerFunc(alive), "/readyz": http.HandlerFunc(p.readiness),
		"/.well-known/drogue-endpoints": http.HandlerFunc(p.endpoints),
	}
	return p.sameHost(byPath(routes, p.api))
}

// sameHost refuses calls under a name other than that of this machine: a page in
// a browser can make its own name point here (DNS rebinding), and the issuer
// gives a token to anybody.
func (p *process) sameHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if ip := net.ParseIP(host); err != nil || (host != "localhost" && (ip == nil || !ip.IsLoopback())) {
			http.Error(w, "this address is for this machine alone", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// byPath calls the handler whose path is that of the request or a parent of it, else the other one.
func byPath(routes map[string]http.Handler, other http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		for prefix, h := range routes {
			if rest, ok := strings.CutPrefix(path, prefix); ok && (rest == "" || rest[0] == '/') {
				h.ServeHTTP(w, r)
				return
			}
		}
		other.ServeHTTP(w, r)
	})
}

func alive(w http.ResponseWriter, _ *http.Request) { writeJSON(w, map[string]string{"status": "OK"}) }

func (p *process) readiness(w http.ResponseWriter, r *http.Request) {
	if p.verifier.Ready() != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	alive(w, r)
}

// endpoints is Drogue's discovery document (contract 2.4).
func (p *process) endpoints(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{
		"api": p.url, "registry": map[string]string{"url": p.url}, "issuer_url": p.issuer.URL(),
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone: there is nobody to tell
}

func equalSecret(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
