// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// TriggerRole is the role, or claim, that lets its bearer trigger builds (A4).
const TriggerRole = "trigger-build"

// Principal is who makes a call.
type Principal struct {
	// Subject is the user's id, never empty.
	Subject string
	// Name is the user's login name if the token has it, else the subject.
	Name string
	// MayTrigger reports whether the token carries the right to trigger builds.
	MayTrigger bool
	// Expires is when the token does.
	Expires time.Time
	// Token is the raw access token, for calls to Drogue on the caller's behalf
	// (AUTH-3). It must not be logged or stored.
	Token string
}

type contextKey struct{}

// NewContext returns a context that carries the principal.
func NewContext(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// FromContext returns the principal that [Verifier.Middleware] found.
func FromContext(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(contextKey{}).(Principal)
	return p, ok
}

// mayTrigger looks for the right where Keycloak puts a role: the
// realm's roles, and those of the configured client. A claim of the name itself
// counts if it is the boolean true; the text "true" does not (case 19).
func (c *claims) mayTrigger(client string) bool {
	var flag bool
	if json.Unmarshal(c.TriggerBuild, &flag) == nil && flag {
		return true
	}
	return slices.Contains(c.RealmAccess.Roles, TriggerRole) ||
		slices.Contains(c.ResourceAccess[client].Roles, TriggerRole)
}

type roles struct {
	Roles []string `json:"roles"`
}

// UnmarshalJSON takes "roles" only, as it is spelled.
func (r *roles) UnmarshalJSON(data []byte) error {
	members, err := spelled(data, "roles")
	if err != nil {
		return err
	}
	type plain roles
	return remarshal(members, (*plain)(r))
}
