// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"net/http"
	"time"
)

// Me is who calls.
type Me struct {
	// Name is the login name, Subject the id of the user.
	Name    string `json:"name"`
	Subject string `json:"subject"`
	// MayTrigger reports whether the role of the token is enough to ask for builds: see [Rights].
	MayTrigger bool `json:"mayTrigger"`
	// Expires is when the token does.
	Expires time.Time `json:"expires,omitzero"`
}

func (h *handler) getMe(w http.ResponseWriter, c *call) error {
	return reply(w, http.StatusOK, Me{
		Name: c.principal.Name, Subject: c.principal.Subject, MayTrigger: h.hasRole(c) == nil,
		Expires: c.principal.Expires.UTC(),
	})
}

// PathInfo is where an installation says what a client has to know before it has a token (RFC 8615).
const PathInfo = "/.well-known/ajour"

// Info is what an installation says of itself to everybody.
type Info struct {
	// Version is that of the service.
	Version string `json:"version"`
	// API is the path below which the API is served.
	API string `json:"api"`
	// Issuer is the URL of the OIDC issuer whose tokens are taken, ClientID the OAuth client that
	// people log in with.
	Issuer   string `json:"issuer"`
	ClientID string `json:"clientId"`
	// Dev reports that it is an "ajour dev", on the machine of its user.
	Dev bool `json:"dev"`
}

func (h *handler) getInfo(w http.ResponseWriter, r *http.Request) {
	if !readsOnly(w, r) {
		return
	}
	info := h.Info
	info.API = Prefixes[0]
	_ = reply(w, http.StatusOK, info)
}
