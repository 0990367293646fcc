// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/auth"
	"github.com/drogue-iot/ajour/pkg/local/issuer"
)

// world is an issuer that is served, and a ready verifier of its tokens.
type world struct {
	issuer   *issuer.Issuer
	verifier *auth.Verifier
	fetches  atomic.Int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/certs") {
			w.fetches.Add(1)
		}
		w.issuer.ServeHTTP(rw, r)
	}))
	t.Cleanup(srv.Close)
	var err error
	if w.issuer, err = issuer.New(srv.URL + "/realms/drogue"); err != nil {
		t.Fatal(err)
	}
	w.verifier = auth.New(auth.Options{Issuer: w.issuer.URL(), Audience: issuer.Client})
	run(t, w.verifier)
	waitReady(t, w.verifier)
	return w
}

func run(t *testing.T, v *auth.Verifier) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- v.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func waitReady(t *testing.T, v *auth.Verifier) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); v.Ready() != nil; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("verifier does not become ready")
		}
	}
}

func TestAValidTokenIsAPrincipal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	raw := w.issuer.Token("alice", "trigger-build")
	got, err := w.verifier.Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	claims := w.issuer.Claims("alice")
	want := auth.Principal{
		Subject: claims["sub"].(string), Name: "alice", MayTrigger: true, Expires: time.Unix(claims["exp"].(int64), 0),
		Token: raw,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTheAudienceIsOursOrThatOfTheClient: each client of a stock Drogue realm has tokens for itself
// alone.
func TestTheAudienceIsOursOrThatOfTheClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := auth.New(
		auth.Options{Issuer: w.issuer.URL(), Audience: issuer.Client, Clients: []string{issuer.Client, "services"}},
	)
	run(t, v)
	waitReady(t, v)
	for _, tt := range []struct {
		client   string
		audience any
		want     bool
	}{
		{issuer.Client, issuer.Client, true},
		{"services", "services", true},
		{"services", []string{"account", "services"}, true},
		{"services", []string{"account", issuer.Client}, true},
		{"services", "account", false},
		{"services", "Services", false},
		{"services", []string{}, false},
		{issuer.Client, "services", false},
		{"foreign", "foreign", false},
		{"foreign", []string{"foreign", issuer.Client}, false},
	} {
		t.Run(fmt.Sprintf("%s for %v", tt.client, tt.audience), func(t *testing.T) {
			t.Parallel()
			c := w.issuer.Claims("alice")
			c["azp"], c["aud"] = tt.client, tt.audience
			if _, err := v.Verify(t.Context(), w.issuer.Sign(c, nil)); (err == nil) != tt.want {
				t.Error(err)
			}
		})
	}
}

func TestTheRightToTrigger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		name   string
		change func(jwt.MapClaims)
		want   bool
	}{
		{"is absent by default", func(jwt.MapClaims) {}, false},
		{
			"is a realm role",
			func(c jwt.MapClaims) { c["realm_access"] = map[string]any{"roles": []string{"trigger-build"}} },
			true,
		},
		{"is a role of our client", func(c jwt.MapClaims) {
			c["resource_access"] = map[string]any{"drogue": map[string]any{"roles": []string{"trigger-build"}}}
		}, true},
		{"is no role of another client", func(c jwt.MapClaims) {
			c["resource_access"] = map[string]any{"other": map[string]any{"roles": []string{"trigger-build"}}}
		}, false},
		{"is a claim that is true", func(c jwt.MapClaims) { c["trigger-build"] = true }, true},
		{"is no claim that is false", func(c jwt.MapClaims) { c["trigger-build"] = false }, false},
		{"is no text", func(c jwt.MapClaims) { c["trigger-build"] = "true" }, false},
		{"is no null", func(c jwt.MapClaims) { c["trigger-build"] = nil }, false},
		{"is no list", func(c jwt.MapClaims) { c["trigger-build"] = []string{} }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := w.issuer.Claims("alice")
			tt.change(c)
			p, err := w.verifier.Verify(t.Context(), w.issuer.Sign(c, nil))
			if err != nil || p.MayTrigger != tt.want {
				t.Errorf("got %v, %v", p.MayTrigger, err)
			}
		})
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	with := func(key string, value any) string {
		c := w.issuer.Claims("alice", "trigger-build")
		if value == nil {
			delete(c, key)
		} else {
			c[key] = value
		}
		return w.issuer.Sign(c, nil)
	}
	header := func(key string, value any) string {
		return w.issuer.Sign(w.issuer.Claims("alice"), map[string]any{key: value})
	}
	sign := func(method jwt.SigningMethod, key any) string {
		tok := jwt.NewWithClaims(method, w.issuer.Claims("alice"))
		tok.Header["kid"] = "x"
		raw, err := tok.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := w.issuer.Token("alice")
	cut := strings.LastIndex(good, ".")
	now := time.Now()
	for name, raw := range map[string]string{
		"nothing":                              "",
		"no JWT":                               "drg_AjouR1_FirmwareBuildExampleToken000013rogXn",
		"alg none":                             sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType),
		"a symmetric signature":                sign(jwt.SigningMethodHS256, []byte("public key")),
		"a signature by a foreign key":         sign(jwt.SigningMethodES256, foreign),
		"a changed signature":                  good[:cut+1] + strings.Repeat("A", len(good)-cut-1),
		"another issuer":                       with("iss", w.issuer.URL()+"/"),
		"no issuer":                            with("iss", nil),
		"another audience":                     with("aud", "other"),
		"no audience":                          with("aud", nil),
		"an expired token":                     with("exp", now.Add(-time.Minute).Unix()),
		"no expiry":                            with("exp", nil),
		"an expiry that is text":               with("exp", strconv.FormatInt(now.Add(time.Hour).Unix(), 10)),
		"a token from the future (nbf)":        with("nbf", now.Add(2*time.Minute).Unix()),
		"a token from the future (iat)":        with("iat", now.Add(2*time.Minute).Unix()),
		"an ID token":                          with("typ", "ID"),
		"a refresh token":                      with("typ", "Refresh"),
		"a token that does not say what it is": with("typ", nil),
		"another client":                       with("azp", "other"),
		"no client":                            with("azp", nil),
		"no subject":                           with("sub", nil),
		"no kid":                               header("kid", nil),
		"a kid that is a path":                 header("kid", "../../etc/passwd"),
		"a huge kid":                           header("kid", strings.Repeat("x", 1<<20)),
		"an embedded key":                      header("jwk", map[string]any{"kty": "EC"}),
		"a key URL":                            header("jku", "http://127.0.0.1:1/"),
		"a certificate URL":                    header("x5u", "http://127.0.0.1:1/"),
		"critical extensions":                  header("crit", []string{"exp"}),
		"a million dots":                       strings.Repeat(".", 1<<20),
		"four parts":                           good + ".x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if p, err := w.verifier.Verify(t.Context(), raw); !errors.Is(err, auth.ErrInvalidToken) {
				t.Errorf("got %+v, %v", p, err)
			} else if raw != "" && strings.Contains(err.Error(), raw) {
				t.Error("the error repeats the token")
			}
		})
	}
}

// TestATokenIsVerifiedOnceWhileItIsValid: its key may be gone by then, and it still expires.
func TestATokenIsVerifiedOnceWhileItIsValid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	v := auth.New(auth.Options{Issuer: w.issuer.URL(), Audience: issuer.Client, Clock: func() time.Time { return now }})
	run(t, v)
	waitReady(t, v)
	token := w.issuer.Token("alice", auth.TriggerRole)
	first, err := v.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got, err := v.Verify(t.Context(), token); err != nil || got != first || got.Token != token {
			t.Error(got, err)
		}
	}
	if _, err := v.Verify(t.Context(), token+"x"); !errors.Is(err, auth.ErrInvalidToken) {
		t.Error(err)
	}
	now = now.Add(2 * time.Hour)
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("after it expired: %v", err)
	}
}

// TestClaimsCountAsTheyAreSpelled: a decoder that knows no case would find them.
func TestClaimsCountAsTheyAreSpelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.issuer.Claims("alice")
	c["Realm_Access"] = map[string]any{"roles": []string{auth.TriggerRole}}
	c["realm_access"] = map[string]any{"Roles": []string{auth.TriggerRole}}
	c["Trigger-Build"] = true
	if p, err := w.verifier.Verify(t.Context(), w.issuer.Sign(c, nil)); err != nil || p.MayTrigger {
		t.Errorf("%+v %v", p, err)
	}
	for _, name := range []string{"azp", "sub", "exp", "typ"} {
		c := w.issuer.Claims("alice")
		c[strings.ToUpper(name)] = c[name]
		delete(c, name)
		if p, err := w.verifier.Verify(t.Context(), w.issuer.Sign(c, nil)); !errors.Is(err, auth.ErrInvalidToken) {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
}

// TestAShortRSAKeyIsRefused, though its signature is right (RFC 7518, 3.3).
func TestAShortRSAKeyIsRefused(t *testing.T) {
	t.Parallel()
	for bits, want := range map[int]error{1024: auth.ErrInvalidToken, 2048: nil} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		jwk, err := jwkset.NewJWKFromKey(key.Public(), jwkset.JWKOptions{
			Metadata: jwkset.JWKMetadataOptions{ALG: jwkset.AlgRS256, KID: "rsa", USE: jwkset.UseSig},
		})
		if err != nil {
			t.Fatal(err)
		}
		keys := jwkset.NewMemoryStorage()
		if err := keys.KeyWrite(t.Context(), jwk); err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		srv := httptest.NewServer(mux)
		t.Cleanup(srv.Close)
		mux.HandleFunc("/certs", func(rw http.ResponseWriter, r *http.Request) {
			set, _ := keys.JSONPublic(r.Context())
			_, _ = rw.Write(set)
		})
		mux.HandleFunc("/.well-known/openid-configuration", func(rw http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":"%s/certs"}`, srv.URL, srv.URL)
		})
		v := auth.New(auth.Options{Issuer: srv.URL, Audience: issuer.Client})
		run(t, v)
		waitReady(t, v)
		iss, err := issuer.New(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		token := jwt.NewWithClaims(jwt.SigningMethodRS256, iss.Claims("alice"))
		token.Header["kid"] = "rsa"
		raw, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), raw); !errors.Is(err, want) {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}

func TestARotatedKeyIsFoundAndTheFormerOneRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	former := w.issuer.Token("alice")
	if err := w.issuer.Rotate(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.verifier.Verify(t.Context(), w.issuer.Token("alice")); err != nil {
		t.Errorf("new key: %v", err)
	}
	if _, err := w.verifier.Verify(t.Context(), former); !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("former key: %v", err)
	}
}

func TestUnknownKeyIdsFetchKeysOncePerWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.fetches.Load()
	for i := range 50 {
		raw := w.issuer.Sign(w.issuer.Claims("mallory"), map[string]any{"kid": strconv.Itoa(i)})
		if _, err := w.verifier.Verify(t.Context(), raw); !errors.Is(err, auth.ErrInvalidToken) {
			t.Fatal(err)
		}
	}
	if got := w.fetches.Load() - before; got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
	if _, err := w.verifier.Verify(t.Context(), w.issuer.Token("alice")); err != nil {
		t.Errorf("a valid user is affected: %v", err)
	}
}

func TestAnIssuerThatIsDownLeavesKnownKeysWorking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issuer.SetDown(true)
	if _, err := w.verifier.Verify(t.Context(), w.issuer.Token("alice")); err != nil {
		t.Error(err)
	}
}

func TestAColdStartWithoutItsIssuerIsUnreadyUntilItAnswers(t *testing.T) {
	t.Parallel()
	var iss *issuer.Issuer
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { iss.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	iss, err := issuer.New(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	iss.SetDown(true)
	v := auth.New(auth.Options{Issuer: iss.URL(), Audience: issuer.Client})
	run(t, v)
	if _, err := v.Verify(t.Context(), iss.Token("alice")); !errors.Is(err, auth.ErrNotReady) {
		t.Errorf("got %v", err)
	}
	iss.SetDown(false)
	waitReady(t, v)
	if _, err := v.Verify(t.Context(), iss.Token("alice")); err != nil {
		t.Error(err)
	}
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := "Bearer " + w.issuer.Token("alice")
	handler := w.verifier.Middleware(
		http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			p, _ := auth.FromContext(r.Context())
			fmt.Fprint(rw, p.Name)
		}),
		func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusUnauthorized) },
	)
	tests := []struct {
		name, url string
		headers   []string
		want      int
		body      string
		challenge string
	}{
		{"a valid token passes", "/", []string{good}, 200, "alice", ""},
		{"no token is challenged", "/", nil, 401, "", `Bearer realm="ajour"`},
		{"a bad token is named invalid", "/", []string{"Bearer x"}, 401, "", `Bearer realm="ajour", error="invalid_token"`},
		{"two headers are refused", "/", []string{good, good}, 401, "", `Bearer realm="ajour"`},
		{"a token in the query does not count", "/?token=" + good[7:], nil, 401, "", `Bearer realm="ajour"`},
		{"basic authentication does not count", "/", []string{"Basic YTpi"}, 401, "", `Bearer realm="ajour"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req := httptest.NewRequest(http.MethodGet, tt.url, nil)
			for _, h := range tt.headers {
				req.Header.Add("Authorization", h)
			}
			rec := httptest.NewRecorder()
			handler.ServeHTTP(rec, req)
			if rec.Code != tt.want || rec.Body.String() != tt.body || rec.Header().Get("WWW-Authenticate") != tt.challenge {
				t.Errorf("got %d %q %q", rec.Code, rec.Body, rec.Header().Get("WWW-Authenticate"))
			}
		})
	}
}

func FuzzVerify(f *testing.F) {
	iss, err := issuer.New("http://127.0.0.1")
	if err != nil {
		f.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(iss)
	f.Cleanup(srv.Close)
	srv.Start()
	if iss, err = issuer.New(srv.URL); err != nil {
		f.Fatal(err)
	}
	srv.Config.Handler = iss
	v := auth.New(auth.Options{Issuer: iss.URL(), Audience: issuer.Client})
	ctx, cancel := context.WithCancel(context.Background())
	f.Cleanup(cancel)
	go func() { _ = v.Run(ctx) }()
	f.Add("a.b.c")
	f.Add(iss.Token("alice"))
	f.Add(iss.Token("alice") + "x")
	valid, err := issuer.New("http://elsewhere")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(valid.Token("mallory", "trigger-build"))
	f.Fuzz(func(t *testing.T, raw string) {
		if p, err := v.Verify(t.Context(), raw); err == nil && p.Name != "alice" {
			t.Errorf("%q became %+v", raw, p)
		}
	})
}
