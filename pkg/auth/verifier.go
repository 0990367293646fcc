// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/cenkalti/backoff/v5"
	"github.com/golang-jwt/jwt/v5"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

const (
	leeway = 30 * time.Second
	// minRSA is how many bits an RSA key must have (RFC 7518, 3.3).
	minRSA = 2048
	// maxToken bounds a token before anything is decoded: Keycloak's are about
	// 2 KiB, header lines of more than 8 KiB are refused by most proxies.
	maxToken = 8 << 10
	// keyRefresh bounds how often an unknown key id makes us ask the issuer, and
	// so how long a rotated key may stay unknown.
	keyRefresh = 30 * time.Second
	// keyWait bounds how long one call may wait for that.
	keyWait = time.Second
	// keyPeriod is how often keys are read a second time anyway, so that retired ones go.
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
	// Audience is our own OAuth client. It, or the client that a token was issued to, must be
	// in the token's aud: those of Drogue's clients hold no other (contract 2.3).
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
	// Log reports an issuer that does not answer as it should; nothing is logged if nil.
	Log *slog.Logger
}

// Verifier checks access tokens of one issuer. It is safe for concurrent use.
type Verifier struct {
	options Options
	parser  *jwt.Parser

	verified *lru.Cache[[sha256.Size]byte, verified]

	mu      sync.Mutex
	keys    keyfunc.Keyfunc
	failure error // of the last discovery
}

// maxVerified is how many tokens are remembered as valid.
const maxVerified = 10_000

// verified is a token that was found valid, until it expires.
type verified struct {
	principal Principal
	expires   time.Time
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
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	cache, err := lru.New[[sha256.Size]byte, verified](maxVerified)
	if err != nil { // of a size that is not positive
		panic(err)
	}
	return &Verifier{options: o, verified: cache, parser: jwt.NewParser(
		jwt.WithValidMethods(o.Algorithms), jwt.WithIssuer(o.Issuer),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(o.Clock),
	)}
}

// Run discovers the issuer, retrying until it answers, then keeps its keys
// fresh until the context ends.
func (v *Verifier) Run(ctx context.Context) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.Multiplier, wait.MaxInterval = 100*time.Millisecond, 2, 10*time.Second
	_, _ = backoff.Retry(ctx, func() (struct{}, error) { // ends with the context only
		err := v.discover(ctx)
		v.mu.Lock()
		defer v.mu.Unlock()
		v.failure = err
		return struct{}{}, err
	}, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, d time.Duration) {
		v.options.Log.WarnContext(
			ctx, "keys of the issuer cannot be read", "issuer", v.options.Issuer, "error", err, "retryAfter",
			d.Round(time.Millisecond).String(),
		)
	}))
	<-ctx.Done()
	return nil
}

func (v *Verifier) discover(ctx context.Context) error {
	doc, err := Discover(ctx, v.options.HTTP, v.options.Issuer)
	if err != nil {
		return err
	}
	strict := false
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{doc.Keys}, keyfunc.Override{
		Client: v.options.HTTP, HTTPTimeout: 10 * time.Second, NoErrorReturnFirstHTTPReq: &strict,
		RefreshInterval: keyPeriod, RateLimitWaitMax: keyWait,
		RefreshUnknownKID: rate.NewLimiter(rate.Every(keyRefresh), 1),
		RefreshErrorHandlerFunc: func(url string) func(context.Context, error) {
			return func(ctx context.Context, err error) {
				v.options.Log.WarnContext(ctx, "keys of the issuer cannot be refreshed", "url", url, "error", err)
			}
		},
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

// Ready returns an error that wraps ErrNotReady, and says why, until the issuer's keys have
// been read once.
func (v *Verifier) Ready() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.keys != nil:
		return nil
	case v.failure != nil:
		return fmt.Errorf("%w: %w", ErrNotReady, v.failure)
	default:
		return ErrNotReady
	}
}

// Verify checks an access token. Its errors wrap ErrInvalidToken or ErrNotReady
// and are fit for a log; they never repeat the token.
//
// A token that was found valid is not verified a second time until it expires, which is how tokens
// are revoked. It is remembered by its hash.
func (v *Verifier) Verify(ctx context.Context, raw string) (Principal, error) {
	if err := v.Ready(); err != nil {
		return Principal{}, err
	}
	// jwt splits a token before it looks at it; three parts are all it can have.
	if len(raw) > maxToken || strings.Count(raw, ".") != 2 {
		return Principal{}, fmt.Errorf("%w: not a compact JWT of at most %d bytes", ErrInvalidToken, maxToken)
	}
	hash := sha256.Sum256([]byte(raw))
	if known, ok := v.verified.Get(hash); ok && v.options.Clock().Before(known.expires) {
		known.principal.Token = raw
		return known.principal, nil
	}
	var c claims
	token, err := v.parser.ParseWithClaims(raw, &c, func(t *jwt.Token) (any, error) { return v.key(ctx, t) })
	if err != nil {
		return Principal{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	if err := v.checkKind(token, &c); err != nil {
		return Principal{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	p := Principal{
		Subject: c.Subject, Name: cmp.Or(c.Username, c.Subject), MayTrigger: c.mayTrigger(v.options.Audience),
		Expires: c.ExpiresAt.Time,
	}
	v.verified.Add(hash, verified{p, c.ExpiresAt.Add(leeway)})
	p.Token = raw
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
	key, err := v.keys.KeyfuncCtx(ctx)(t)
	if err != nil {
		return nil, err
	}
	if k, ok := key.(*rsa.PublicKey); ok && k.N.BitLen() < minRSA {
		return nil, fmt.Errorf("the issuer's key has %d bits, which are too few: use %d or more", k.N.BitLen(), minRSA)
	}
	return key, nil
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
	case !slices.Contains(c.Audience, v.options.Audience) && !slices.Contains(c.Audience, c.AuthorizedParty):
		return fmt.Errorf("made for the audience %q", []string(c.Audience))
	}
	return nil
}
