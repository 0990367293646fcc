// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Middleware lets calls through that carry a valid token, with the principal in
// their context. For any other it calls refuse with an error that wraps
// ErrInvalidToken or ErrNotReady, after setting WWW-Authenticate (RFC 6750).
func (v *Verifier) Middleware(next http.Handler, refuse func(http.ResponseWriter, *http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := bearer(r)
		if err == nil {
			var p Principal
			if p, err = v.Verify(r.Context(), raw); err == nil {
				next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), p)))
				return
			}
		}
		if !errors.Is(err, ErrNotReady) {
			challenge := `Bearer realm="ajour"`
			if raw != "" {
				challenge += `, error="invalid_token"`
			}
			w.Header().Set("WWW-Authenticate", challenge)
		}
		refuse(w, r, err)
	})
}

// bearer takes the token from the one place where it may stand: a token in the
// query ends up in logs, and two headers mean two different things to two
// servers (case 18).
func bearer(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", fmt.Errorf("%w: want exactly one Authorization header, got %d", ErrInvalidToken, len(values))
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", fmt.Errorf("%w: want Authorization: Bearer TOKEN", ErrInvalidToken)
	}
	return token, nil
}
