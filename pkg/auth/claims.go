// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

type claims struct {
	jwt.RegisteredClaims
	AuthorizedParty string           `json:"azp"`
	Type            string           `json:"typ"`
	Username        string           `json:"preferred_username"`
	RealmAccess     roles            `json:"realm_access"`
	ResourceAccess  map[string]roles `json:"resource_access"`
	TriggerBuild    json.RawMessage  `json:"trigger-build"`
}

// UnmarshalJSON refuses times that are text, which encoding/json would take for
// numbers (case 6), and leaves out members that are spelled otherwise than claims are:
// encoding/json would take AZP for azp.
func (c *claims) UnmarshalJSON(data []byte) error {
	members, err := spelled(data, "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "typ", "preferred_username",
		"realm_access", "resource_access", TriggerRole)
	if err != nil {
		return err
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		if t := members[name]; len(t) > 0 && t[0] == '"' {
			return errors.New("a time is text, not a number")
		}
	}
	type plain claims
	return remarshal(members, (*plain)(c))
}

// spelled reads those members of an object that are called exactly so.
func spelled(data []byte, names ...string) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, err
	}
	maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool { return !slices.Contains(names, name) })
	return members, nil
}

func remarshal(members map[string]json.RawMessage, into any) error {
	data, err := json.Marshal(members)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
