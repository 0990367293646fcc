// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Endpoints are the URLs of an issuer that are used here.
type Endpoints struct {
	// Keys has the keys that tokens are signed with.
	Keys string `json:"jwks_uri"`
	// Token gives tokens.
	Token string `json:"token_endpoint"`
}

// Discover asks an issuer for its endpoints (OpenID Connect Discovery 1.0, section 4). One that calls itself
// differently is refused.
func Discover(ctx context.Context, client *http.Client, issuer string) (Endpoints, error) {
	req, err := http.NewRequestWithContext(
		ctx, http.MethodGet, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", nil,
	)
	if err != nil {
		return Endpoints{}, fmt.Errorf("discover issuer: %w", err)
	}
	res, err := client.Do(req)
	if err != nil {
		return Endpoints{}, fmt.Errorf("discover issuer: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return Endpoints{}, fmt.Errorf("discover issuer: %s answered %s", req.URL.Redacted(), res.Status)
	}
	var doc struct {
		Issuer string `json:"issuer"`
		Endpoints
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, res.Body, 1<<20)).Decode(&doc); err != nil {
		return Endpoints{}, fmt.Errorf("discover issuer: read %s: %w", req.URL.Redacted(), err)
	}
	if doc.Issuer != issuer {
		return Endpoints{}, fmt.Errorf("discover issuer: it calls itself %q, not %q", doc.Issuer, issuer)
	}
	return doc.Endpoints, nil
}
