// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	_ "embed"
	"net/http"
)

// OpenAPI describes all operations, as YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte

// pathOpenAPI is where it is served below [Prefixes], to everybody.
const pathOpenAPI = "/openapi.yaml"

func (h *handler) getOpenAPI(w http.ResponseWriter, r *http.Request) {
	if !readsOnly(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(OpenAPI) // the client is gone
}

// readsOnly refuses every method that does more than read.
func readsOnly(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	problem(http.StatusMethodNotAllowed, "MethodNotAllowed", "Use GET on this path").write(w)
	return false
}

func isOpenAPI(r *http.Request) bool {
	prefix, path := cutPrefix(r.URL.EscapedPath())
	return path == pathOpenAPI && prefix+path == r.URL.EscapedPath()
}
