// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"encoding/json"
	"net/http"
	"strings"
)

// ServeHTTP answers the endpoints of discovery, below the path of the issuer's URL.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	down, keys := i.down, i.keys
	i.mu.Unlock()
	if down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/.well-known/openid-configuration"):
		i.reply(w, http.StatusOK, i.discovery())
	case strings.HasSuffix(path, "/certs"):
		set, err := keys.JSONPublic(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		i.reply(w, http.StatusOK, set)
	case strings.HasSuffix(path, "/token") && r.Method == http.MethodPost:
		i.token(w, r)
	case strings.HasSuffix(path, "/auth"):
		fromHere.Handler(http.HandlerFunc(i.authorize)).ServeHTTP(w, r)
	case strings.HasSuffix(path, "/login"):
		i.remember(w, r)
	case strings.HasSuffix(path, "/logout"):
		i.logout(w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// discovery is the document of OpenID Connect Discovery 1.0, section 3.
func (i *Issuer) discovery() map[string]any {
	return map[string]any{
		"issuer":                 i.url,
		"jwks_uri":               i.url + "/certs",
		"authorization_endpoint": i.url + "/auth",
		"token_endpoint":         i.url + "/token",
		"end_session_endpoint":   i.url + "/logout",
		"grant_types_supported": []string{
			"authorization_code",
			"refresh_token",
			"password",
			"client_credentials",
		},
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"code_challenge_methods_supported":               []string{"S256"},
		"scopes_supported":                               []string{"openid"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"ES256"},
		"token_endpoint_auth_methods_supported":          []string{"none"},
		"authorization_response_iss_parameter_supported": true,
	}
}

// reply answers pages of any origin, as Keycloak does for a client whose web origins are "*": none of the
// answers depends on a cookie.
func (i *Issuer) reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone: there is nobody to tell
}
