// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package issuer is an OIDC issuer in one process, for tests and for the
// embedded mode. It speaks discovery, JWKS, the code flow with PKCE, and the
// refresh token, password and client credentials grants, and makes tokens of the
// shape that Keycloak gives to Drogue (contract 2.2). It knows no users: whoever
// may reach it and knows its password may be anybody, so it must only ever be
// reachable from the machine that it runs on.
package issuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
)

// Client is the OAuth client and audience that tokens are made for.
const Client = "drogue"

// role is the role that everybody who logs in has.
const role = "trigger-build"

// tokenLife is how long an access token is valid.
const tokenLife = time.Hour

// Issuer makes and publishes tokens. Serve it at the path of its URL.
type Issuer struct {
	url string

	mu   sync.Mutex
	key  *ecdsa.PrivateKey
	kid  string
	keys jwkset.Storage
	down bool
	// password is that of every user; any will do if it is empty.
	password string

	codes    *lru.Cache[string, grant]
	sessions *lru.Cache[string, session]
}

// New returns an issuer with a fresh key whose issuer URL is url.
func New(url string) (*Issuer, error) {
	i := &Issuer{url: url, keys: jwkset.NewMemoryStorage()}
	var failed [2]error
	i.codes, failed[0] = lru.New[string, grant](maxSessions)
	i.sessions, failed[1] = lru.New[string, session](maxSessions)
	return i, errors.Join(failed[0], failed[1], i.Rotate())
}

// URL returns the issuer URL, the value of iss.
func (i *Issuer) URL() string { return i.url }

// Rotate replaces the signing key; the former is no longer published.
func (i *Issuer) Rotate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	keys, kid := jwkset.NewMemoryStorage(), uuid.NewString()
	jwk, err := jwkset.NewJWKFromKey(key.Public(), jwkset.JWKOptions{
		Metadata: jwkset.JWKMetadataOptions{ALG: jwkset.AlgES256, KID: kid, USE: jwkset.UseSig},
	})
	if err != nil {
		return fmt.Errorf("publish key: %w", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key, i.kid, i.keys = key, kid, keys
	if err := keys.KeyWrite(context.Background(), jwk); err != nil {
		return fmt.Errorf("publish key: %w", err)
	}
	return nil
}

// Claims returns the claims of a user's access token that is valid for an hour.
func (i *Issuer) Claims(user string, roles ...string) jwt.MapClaims {
	now := time.Now()
	return jwt.MapClaims{
		"iss": i.url, "sub": Subject(user),
		"azp": Client, "aud": []string{Client, "account"}, "typ": "Bearer",
		"iat": now.Unix(), "exp": now.Add(tokenLife).Unix(), "jti": uuid.NewString(),
		"preferred_username": user, "realm_access": map[string]any{"roles": append([]string{"drogue-user"}, roles...)},
	}
}

// Subject returns the id of a user, which no new key and no new URL changes.
func Subject(user string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("drogue:user:"+user)).String()
}

// Token returns an access token for a user with the roles.
func (i *Issuer) Token(user string, roles ...string) string {
	return i.Sign(i.Claims(user, roles...), nil)
}

// Sign signs any claims with the current key. The header's members replace or,
// if nil, remove those that are set by default.
func (i *Issuer) Sign(claims jwt.MapClaims, header map[string]any) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	t := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	t.Header["kid"] = i.kid
	maps.Copy(t.Header, header)
	maps.DeleteFunc(t.Header, func(_ string, v any) bool { return v == nil })
	raw, err := t.SignedString(i.key)
	if err != nil { // an ES256 key signs whatever can be marshalled
		panic(err)
	}
	return raw
}

// SetDown makes every answer a 503 until it is called with false.
func (i *Issuer) SetDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}
