// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// maxSessions is how many codes and sessions are remembered, the newest ones.
	maxSessions = 1000
	// sessionLife is how long somebody stays logged in: a day at a desk.
	sessionLife = 12 * time.Hour
)

// session is what somebody has logged in for.
type session struct {
	until time.Time
}

// SetPassword has the token endpoint give tokens to those alone who know it.
func (i *Issuer) SetPassword(password string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.password = password
}

func (i *Issuer) isPassword(given string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.password == "" || same(given, i.password)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// token is the token endpoint. A session lasts until it is ended, or for half a day; its refresh token
// may be used several times, as with Keycloak.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		code := r.PostFormValue("code")
		g, ok := i.codes.Get(code)
		ok = i.codes.Remove(code) && ok // once, whoever tries
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		if !ok || time.Now().After(g.until) || g.redirect != r.PostFormValue("redirect_uri") ||
			r.PostFormValue("client_id") != Client || !same(base64.RawURLEncoding.EncodeToString(sum[:]), g.challenge) {
			i.refuse(w, "Code not valid")
			return
		}
		id := rand.Text()
		i.sessions.Add(id, session{until: time.Now().Add(sessionLife)})
		i.grant(w, id, g.nonce)
	case "refresh_token":
		id := r.PostFormValue("refresh_token")
		s, ok := i.sessions.Get(id)
		if !ok || time.Now().After(s.until) || r.PostFormValue("client_id") != Client {
			i.refuse(w, "Session not active")
			return
		}
		i.grant(w, id, "")
	default:
		if !i.isPassword(r.PostFormValue("password")) {
			i.refuse(w, "Invalid user credentials")
			return
		}
		user := r.PostFormValue("username")
		if user == "" {
			user = developer
		}
		i.reply(w, http.StatusOK, map[string]any{
			"access_token": i.Token(user, role), "token_type": "bearer", "expires_in": int(tokenLife.Seconds()),
		})
	}
}

// refuse answers as RFC 6749, section 5.2 says.
func (i *Issuer) refuse(w http.ResponseWriter, why string) {
	i.reply(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": why})
}

// grant gives the tokens of a session.
func (i *Issuer) grant(w http.ResponseWriter, id, nonce string) {
	claims := i.Claims(developer, role)
	claims["sid"] = sid(id)
	about := jwt.MapClaims{
		"iss": i.url, "sub": claims["sub"], "aud": Client, "azp": Client, "typ": "ID", "sid": sid(id),
		"iat": claims["iat"], "exp": claims["exp"], "preferred_username": developer,
	}
	if nonce != "" {
		about["nonce"] = nonce
	}
	i.reply(w, http.StatusOK, map[string]any{
		"access_token": i.Sign(claims, nil), "token_type": "bearer", "expires_in": int(tokenLife.Seconds()),
		"refresh_token": id, "refresh_expires_in": int(sessionLife.Seconds()), "id_token": i.Sign(about, nil),
		"scope": "openid",
	})
}

// sid names a session in tokens, which must not show the refresh token.
func sid(id string) string {
	sum := sha256.Sum256([]byte(id))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// sessionOf returns the session that an ID token, which may have expired, is of.
func (i *Issuer) sessionOf(hint string) (id string, ok bool) {
	i.mu.Lock()
	key := i.key.Public()
	i.mu.Unlock()
	var claims jwt.MapClaims
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithoutClaimsValidation()).
		ParseWithClaims(hint, &claims, func(*jwt.Token) (any, error) { return key, nil })
	if err != nil {
		return "", false
	}
	for _, id := range i.sessions.Keys() {
		if claims["sid"] == sid(id) {
			return id, true
		}
	}
	return "", false
}
