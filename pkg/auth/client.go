// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Client is an OAuth client of an issuer that has a service account.
type Client struct{ ID, Secret, Issuer string }

// Tokens gets access tokens of a client (RFC 6749, section 4.4). It is safe for concurrent use.
type Tokens struct {
	http *http.Client

	mu     sync.Mutex
	client Client
	token  *oauth2.Token
}

// NewTokens returns one that calls issuers with an HTTP client.
func NewTokens(client *http.Client) *Tokens { return &Tokens{http: client} }

// Of returns a token of a client, which is used until ten seconds before it expires. Callers wait
// for each other, since all need the same one.
func (t *Tokens) Of(ctx context.Context, c Client) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c != t.client || !t.token.Valid() {
		endpoints, err := Discover(ctx, t.http, c.Issuer)
		if err != nil {
			return "", fmt.Errorf("token of the client %q: %w", c.ID, err)
		}
		config := clientcredentials.Config{ClientID: c.ID, ClientSecret: c.Secret, TokenURL: endpoints.Token}
		token, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, t.http))
		if err != nil {
			return "", fmt.Errorf("token of the client %q: %w", c.ID, err)
		}
		t.client, t.token = c, token
	}
	return t.token.AccessToken, nil
}
