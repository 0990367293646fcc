// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Client is an OAuth client of an issuer that has a service account.
type Client struct{ ID, Secret, Issuer string }

// maxUse bounds how long a token is used. The registry may refuse one before it expires, as after a change of the
// issuer's keys.
const maxUse = time.Minute

// Tokens gets access tokens of a client (RFC 6749, section 4.4). It is safe for concurrent use.
type Tokens struct {
	http *http.Client

	// turn has a value while nobody asks for a token: callers wait for each other, since all need the same one.
	turn   chan struct{}
	client Client
	token  *oauth2.Token
	until  time.Time
}

// NewTokens returns one that calls issuers with an HTTP client.
func NewTokens(client *http.Client) *Tokens {
	t := &Tokens{http: client, turn: make(chan struct{}, 1)}
	t.turn <- struct{}{}
	return t
}

// Of returns a token of a client, which is used for a minute, or until ten seconds before it expires.
func (t *Tokens) Of(ctx context.Context, c Client) (string, error) {
	select {
	case <-t.turn:
		defer func() { t.turn <- struct{}{} }()
	case <-ctx.Done():
		return "", fmt.Errorf("token of the client %q: %w", c.ID, ctx.Err())
	}
	if c == t.client && t.token.Valid() && time.Now().Before(t.until) {
		return t.token.AccessToken, nil
	}
	token, err := t.get(ctx, c)
	if err != nil {
		return "", fmt.Errorf("token of the client %q: %w", c.ID, err)
	}
	t.client, t.token, t.until = c, token, time.Now().Add(maxUse)
	return token.AccessToken, nil
}

func (t *Tokens) get(ctx context.Context, c Client) (*oauth2.Token, error) {
	endpoints, err := Discover(ctx, t.http, c.Issuer)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(c.Issuer, "https:") && !strings.HasPrefix(endpoints.Token, "https:") {
		return nil, fmt.Errorf("the issuer wants the secret at %q unencrypted", endpoints.Token)
	}
	config := clientcredentials.Config{
		ClientID: c.ID, ClientSecret: c.Secret, TokenURL: endpoints.Token,
		AuthStyle: oauth2.AuthStyleInHeader, // which every issuer takes (RFC 6749, section 2.3.1)
	}
	return config.Token(context.WithValue(ctx, oauth2.HTTPClient, t.http))
}
