// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// AdminRole is the role of a token that passes every check.
const AdminRole = "drogue-admin"

// User is a caller. The zero value is anonymous.
type User struct {
	ID    string
	Name  string
	Roles []string
}

func (u User) anonymous() bool { return u.ID == "" }

// Credentials checks what a caller presents. The functions report false for
// credentials that are not valid; a nil one accepts none.
type Credentials struct {
	// Bearer checks an access token.
	Bearer func(r *http.Request, token string) (User, bool)
	// Basic checks a user name with a personal access token.
	Basic func(user, token string) (User, bool)
	// RefuseAnonymous refuses callers without credentials, whom the real registry lets make
	// applications that are everybody's.
	RefuseAnonymous bool
	// UserID finds the id of a user name, for the member list.
	UserID func(name string) (string, bool)
}

// authenticate follows contract 2.1 with its corrections: missing credentials
// are anonymous, and so is a header whose scheme is not spelled exactly "Bearer"
// or "Basic" (X4); bad ones are 403, never 401.
func (c Credentials) authenticate(r *http.Request) (User, error) {
	query := r.URL.Query()
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	var ways []func() (User, bool)
	bearer := func(token string) func() (User, bool) {
		return func() (User, bool) {
			if c.Bearer == nil || strings.HasPrefix(token, " ") {
				return User{}, false
			}
			return c.Bearer(r, token)
		}
	}
	basic := func(user, token string) func() (User, bool) {
		return func() (User, bool) {
			if c.Basic == nil {
				return User{}, false
			}
			return c.Basic(user, token)
		}
	}
	if scheme == "Bearer" && rest != "" {
		ways = append(ways, bearer(rest))
	}
	if user, token, ok := basicPair(scheme, rest); ok {
		ways = append(ways, basic(user, token))
	}
	if query.Has("token") {
		ways = append(ways, bearer(query.Get("token")))
	}
	if query.Has("username") && query.Has("api_key") {
		ways = append(ways, basic(query.Get("username"), query.Get("api_key")))
	}
	switch len(ways) {
	case 0:
		if c.RefuseAnonymous {
			return User{}, errForbidden
		}
		return User{}, nil
	case 1:
		user, ok := ways[0]()
		if !ok {
			return User{}, errForbidden
		}
		return user, nil
	default:
		return User{}, errTwoWays
	}
}

func basicPair(scheme, rest string) (user, token string, ok bool) {
	if scheme != "Basic" {
		return "", "", false
	}
	pair, err := base64.StdEncoding.DecodeString(rest)
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(pair), ":")
}

// permission is what a call needs on an application.
type permission int

const (
	read permission = iota
	writing
	administration
)

// may implements the matrix of contract 1.11. An application without an owner
// is everybody's (X9); the member "" stands for anonymous callers only.
func (a *application) may(u User, p permission) bool {
	for _, role := range u.Roles {
		if role == AdminRole {
			return true
		}
	}
	if a.Owner == "" || (!u.anonymous() && a.Owner == u.ID) {
		return true
	}
	switch a.Members[u.ID] {
	case "admin":
		return true
	case "manager":
		return p <= writing
	case "reader":
		return p == read
	default:
		return false
	}
}
