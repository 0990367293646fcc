// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

const (
	leeway = 30 * time.Second
	// maxToken bounds a token before anything is decoded: Keycloak's are about
	// 2 KiB, header lines of more than 8 KiB are refused by most proxies.
	maxToken = 8 << 10
	// keyRefresh bounds how often an unknown key id makes us ask the issuer, and
	// so how long a rotated key may stay unknown.
	keyRefresh = 30 * time.Second
	// keyWait bounds how long one call may wait for that.
	keyWait = time.Second
	// keyPeriod is how often keys are read again anyway, so that retired ones go.
	keyPeriod = 10 * time.Minute
)

var (
	// ErrInvalidToken says that a token is not valid here, whatever the cause.
	ErrInvalidToken = errors.New("invalid token")
	// ErrNotReady says that the issuer's keys were never read: no token can be judged.
	ErrNotReady = errors.New("issuer keys are not available")
)

// Options configure a [Verifier].
type Options struct {
	// Issuer is the exact issuer URL, to which discovery is appended.
	Issuer string
	// Audience must be in the token's aud.
	Audience string
	// Clients are the OAuth clients (azp) whose tokens are accepted; the
	// audience alone if empty.
	Clients []string
	// Algorithms are accepted; RS256, ES256 and EdDSA if empty.
	Algorithms []string
	// HTTP fetches discovery and keys; a client with a timeout of 10 s if nil.
	HTTP *http.Client
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
}

// Verifier checks access tokens of one issuer. It is safe for concurrent use.
type Verifier struct {
	options Options
	parser  *jwt.Parser

	mu   sync.Mutex
	keys keyfunc.Keyfunc
}

// New returns a verifier. It does not contact the issuer: call [Verifier.Run].
func New(o Options) *Verifier {
	if len(o.Algorithms) == 0 {
		o.Algorithms = []string{"RS256", "ES256", "EdDSA"}
	}
	if len(o.Clients) == 0 {
		o.Clients = []string{o.Audience}
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Verifier{options: o, parser: jwt.NewParser(
		jwt.WithValidMethods(o.Algorithms), jwt.WithIssuer(o.Issuer), jwt.WithAudience(o.Audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(o.Clock),
	)}
}

// Run discovers the issuer, trying again until it answers, then keeps its keys
// fresh until the context ends.
func (v *Verifier) Run(ctx context.Context) error {
	wait := 100 * time.Millisecond
	for {
		err := v.discover(ctx)
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
			wait = min(2*wait, 10*time.Second)
		}
	}
	<-ctx.Done()
	return nil
}

func (v *Verifier) discover(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		strings.TrimSuffix(v.options.Issuer, "/")+"/.well-known/openid-configuration", nil)
	if err != nil {
		return fmt.Errorf("discover issuer: %w", err)
	}
	res, err := v.options.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("discover issuer: %w", err)
	}
	defer res.Body.Close()
	var doc struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, res.Body, 1<<20)).Decode(&doc); err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("discover issuer: status %d: %w", res.StatusCode, err)
	}
	if doc.Issuer != v.options.Issuer {
		return fmt.Errorf("discover issuer: it calls itself %q, not %q", doc.Issuer, v.options.Issuer)
	}
	strict := false
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{doc.Keys}, keyfunc.Override{
		Client: v.options.HTTP, HTTPTimeout: 10 * time.Second, NoErrorReturnFirstHTTPReq: &strict,
		RefreshInterval: keyPeriod, RateLimitWaitMax: keyWait,
		RefreshUnknownKID:       rate.NewLimiter(rate.Every(keyRefresh), 1),
		RefreshErrorHandlerFunc: func(string) func(context.Context, error) { return func(context.Context, error) {} },
	})
	if err != nil {
		return fmt.Errorf("read keys of issuer: %w", err)
	}
	if keys, err = keyfunc.New(keyfunc.Options{
		Ctx: ctx, Storage: keys.Storage(), UseWhitelist: []jwkset.USE{jwkset.UseSig},
	}); err != nil {
		return fmt.Errorf("read keys of issuer: %w", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.keys = keys
	return nil
}

// Ready returns ErrNotReady until the issuer's keys have been read once.
func (v *Verifier) Ready() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keys == nil {
		return ErrNotReady
	}
	return nil
}

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
// numbers (case 6).
func (c *claims) UnmarshalJSON(data []byte) error {
	var times struct {
		Expires   json.RawMessage `json:"exp"`
		NotBefore json.RawMessage `json:"nbf"`
		IssuedAt  json.RawMessage `json:"iat"`
	}
	if err := json.Unmarshal(data, &times); err != nil {
		return err
	}
	for _, t := range []json.RawMessage{times.Expires, times.NotBefore, times.IssuedAt} {
		if len(t) > 0 && t[0] == '"' {
			return errors.New("a time is text, not a number")
		}
	}
	type plain claims
	return json.Unmarshal(data, (*plain)(c))
}

// Verify checks an access token. Its errors wrap ErrInvalidToken or ErrNotReady
// and are fit for a log; they never repeat the token.
func (v *Verifier) Verify(ctx context.Context, raw string) (Principal, error) {
	if err := v.Ready(); err != nil {
		return Principal{}, err
	}
	// jwt splits a token before it looks at it; three parts are all it can have.
	if len(raw) > maxToken || strings.Count(raw, ".") != 2 {
		return Principal{}, fmt.Errorf("%w: not a compact JWT of at most %d bytes", ErrInvalidToken, maxToken)
	}
	var c claims
	token, err := v.parser.ParseWithClaims(raw, &c, func(t *jwt.Token) (any, error) { return v.key(ctx, t) })
	if err != nil {
		return Principal{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	if err := v.checkKind(token, &c); err != nil {
		return Principal{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	p := Principal{Subject: c.Subject, Name: c.Username, MayTrigger: c.mayTrigger(v.options.Audience), Token: raw}
	if p.Name == "" {
		p.Name = p.Subject
	}
	return p, nil
}

// key finds the issuer's key for a token. Without a key id keyfunc would try
// every key, whatever its use; parameters that name or carry keys are refused.
func (v *Verifier) key(ctx context.Context, t *jwt.Token) (any, error) {
	if kid, _ := t.Header["kid"].(string); kid == "" || len(kid) > 256 {
		return nil, errors.New("header has no usable kid")
	}
	for _, name := range []string{"crit", "jwk", "jku", "x5u", "x5c"} {
		if _, ok := t.Header[name]; ok {
			return nil, fmt.Errorf("header has %q, which is refused", name)
		}
	}
	return v.keys.KeyfuncCtx(ctx)(t)
}

// checkKind refuses ID and refresh tokens, and tokens made for other clients.
// Keycloak says the kind in the claim typ, RFC 9068 in the header.
func (v *Verifier) checkKind(t *jwt.Token, c *claims) error {
	header, _ := t.Header["typ"].(string)
	switch {
	case c.Subject == "":
		return errors.New("no sub")
	case c.Type != "" && c.Type != "Bearer":
		return fmt.Errorf("a token of type %q is no access token", c.Type)
	case c.Type == "" && !strings.EqualFold(header, "at+jwt") && !strings.EqualFold(header, "application/at+jwt"):
		return errors.New("not marked as an access token")
	case !slices.Contains(v.options.Clients, c.AuthorizedParty):
		return fmt.Errorf("issued to the client %q", c.AuthorizedParty)
	}
	return nil
}
