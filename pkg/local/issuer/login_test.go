// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package issuer_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/local/issuer"
)

// browser is one that has not been here before, and follows no redirects.
type browser struct {
	t      *testing.T
	client *http.Client
	issuer *issuer.Issuer
	root   string
}

const password, verifier = "secret of the test", "a-verifier-of-at-least-forty-three-characters"

func newBrowser(t *testing.T) *browser {
	t.Helper()
	var iss *issuer.Issuer
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { iss.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	iss, err := issuer.New(srv.URL + "/realms/drogue")
	if err != nil {
		t.Fatal(err)
	}
	iss.SetPassword(password)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, issuer: iss, root: srv.URL, client: &http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// authorization returns the URL that a client sends the browser to, with some parameters changed.
func (b *browser) authorization(change map[string]string) string {
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"client_id": {"drogue"}, "redirect_uri": {b.root + "/callback"}, "response_type": {"code"}, "state": {"a&b"},
		"nonce": {"once"}, "scope": {"openid"}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
	}
	for name, value := range change {
		q.Set(name, value)
	}
	return b.issuer.URL() + "/auth?" + q.Encode()
}

// send returns the status, the body and, for a redirect, where it leads to.
func (b *browser) send(method, to string, form url.Values, header ...string) (int, string, *url.URL) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, to, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	location, _ := res.Location() // nil without one
	return res.StatusCode, string(body), location
}

// code logs in, and returns the code that the client gets.
func (b *browser) code() string {
	b.t.Helper()
	status, body, to := b.send(http.MethodPost, b.authorization(nil), url.Values{"password": {password}})
	if status != http.StatusSeeOther {
		b.t.Fatalf("the form answers %d: %s", status, body)
	}
	return to.Query().Get("code")
}

type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Error   string `json:"error"`
}

func (b *browser) token(form url.Values) (int, tokens) {
	b.t.Helper()
	status, body, _ := b.send(http.MethodPost, b.issuer.URL()+"/token", form)
	var got tokens
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		b.t.Fatalf("%s: %v", body, err)
	}
	return status, got
}

func (b *browser) exchange(code string, change ...string) url.Values {
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"drogue"}, "code": {code}, "code_verifier": {verifier},
		"redirect_uri": {b.root + "/callback"},
	}
	for i := 0; i+1 < len(change); i += 2 {
		form.Set(change[i], change[i+1])
	}
	return form
}

func TestADeveloperLogsIn(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	status, page, _ := b.send(http.MethodGet, b.authorization(nil), nil)
	if status != http.StatusOK || !strings.Contains(page, "password") {
		t.Fatalf("a new browser sees %d: %s", status, page)
	}
	if status, _, _ = b.send(
		http.MethodPost,
		b.authorization(nil),
		url.Values{"password": {"wrong"}},
	); status != http.StatusForbidden {
		t.Fatalf("a wrong password is answered %d", status)
	}
	if status, _, _ = b.send(http.MethodPost, b.authorization(nil), nil); status != http.StatusForbidden {
		t.Fatalf("no password is answered %d", status)
	}
	_, _, to := b.send(http.MethodPost, b.authorization(nil), url.Values{"password": {password}})
	code := to.Query().Get("code")
	want := b.root + "/callback?" + url.Values{"code": {code}, "iss": {b.issuer.URL()}, "state": {"a&b"}}.Encode()
	if to.String() != want || code == "" {
		t.Fatalf("the client gets %s, want %s", to, want)
	}
	status, got := b.token(b.exchange(code))
	if status != http.StatusOK {
		t.Fatalf("the code is worth %d %s", status, got.Error)
	}
	var about jwt.MapClaims
	if _, _, err := jwt.NewParser().ParseUnverified(got.ID, &about); err != nil {
		t.Fatal(err)
	}
	shown := map[string]any{
		"nonce":              about["nonce"],
		"aud":                about["aud"],
		"preferred_username": about["preferred_username"],
	}
	if diff := cmp.Diff(
		map[string]any{"nonce": "once", "aud": "drogue", "preferred_username": "developer"},
		shown,
	); diff != "" {
		t.Error(diff)
	}
	if status, _, _ = b.send(http.MethodPost, b.authorization(nil), nil); status != http.StatusForbidden {
		t.Errorf("a browser that has shown the password needs none: %d", status)
	}
}

// TestThePasswordOfTheLinkIsSentToNobody: a browser remembers it by itself, for the origin of the issuer, and
// the server has no cookie for it, which other ports of the machine would see.
func TestThePasswordOfTheLinkIsSentToNobody(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	link, err := url.Parse(b.issuer.LoginURL())
	if err != nil {
		t.Fatal(err)
	}
	if link.RawQuery != "" || link.Fragment != "password="+strings.ReplaceAll(password, " ", "+") {
		t.Errorf("the link is %s", link)
	}
	b.send(http.MethodGet, link.String(), nil)
	b.code()
	if cookies := b.client.Jar.Cookies(link); len(cookies) != 0 {
		t.Errorf("the browser has %v", cookies)
	}
}

func TestNoCodeForOthers(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	for name, change := range map[string]map[string]string{
		"another client":          {"client_id": "other"},
		"another machine":         {"redirect_uri": "http://example.org/callback"},
		"the name of a machine":   {"redirect_uri": "http://localhost.example.org/callback"},
		"a user in front":         {"redirect_uri": "http://localhost@example.org/"},
		"an app":                  {"redirect_uri": "app://localhost/callback"},
		"no code":                 {"response_type": "token"},
		"no PKCE":                 {"code_challenge": ""},
		"PKCE that hides nothing": {"code_challenge_method": "plain"},
	} {
		status, _, to := b.send(http.MethodPost, b.authorization(change), url.Values{"password": {password}})
		if to != nil && to.Query().Has("code") || status == http.StatusOK {
			t.Errorf("%s: %d %s", name, status, to)
		}
	}
	status, _, _ := b.send(
		http.MethodPost,
		b.authorization(nil),
		nil,
		"Origin",
		"http://example.org",
		"Sec-Fetch-Site",
		"cross-site",
	)
	if status != http.StatusForbidden {
		t.Errorf("the form of a page elsewhere is taken: %d", status)
	}
}

func TestACodeIsWorthOneSession(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	for name, change := range map[string][]string{
		"another verifier": {"code_verifier", "wrong"},
		"another redirect": {"redirect_uri", b.root + "/elsewhere"},
		"another client":   {"client_id", "other"},
	} {
		code := b.code()
		if status, got := b.token(
			b.exchange(code, change...),
		); status != http.StatusBadRequest ||
			got.Error != "invalid_grant" {
			t.Errorf("%s: %d %v", name, status, got)
		}
		if status, _ := b.token(b.exchange(code)); status != http.StatusBadRequest {
			t.Errorf("%s: the code is worth something after that: %d", name, status)
		}
	}
	code := b.code()
	_, first := b.token(b.exchange(code))
	if status, _ := b.token(b.exchange(code)); status != http.StatusBadRequest {
		t.Errorf("a code is worth a second session: %d", status)
	}
	renew := url.Values{"grant_type": {"refresh_token"}, "client_id": {"drogue"}, "refresh_token": {first.Refresh}}
	for range 2 {
		if status, got := b.token(renew); status != http.StatusOK || got.Access == "" {
			t.Fatalf("the session is not renewed: %d %v", status, got)
		}
	}
	end := func(hint, to string) (int, string, *url.URL) {
		return b.send(http.MethodGet, b.issuer.URL()+"/logout?"+url.Values{
			"id_token_hint": {hint}, "post_logout_redirect_uri": {to}, "state": {"x"},
		}.Encode(), nil)
	}
	if status, _, to := end(
		"nobody's",
		b.root+"/login",
	); status != http.StatusSeeOther ||
		to.String() != b.root+"/login?state=x" {
		t.Errorf("logout of nobody leads to %d %s", status, to)
	}
	if status, _, to := end(
		"nobody's",
		"http://example.org/",
	); status != http.StatusSeeOther || to.Path != "/" ||
		to.Host == "example.org" {
		t.Errorf("logout leads elsewhere: %d %s", status, to)
	}
	if status, got := b.token(renew); status != http.StatusOK || got.Access == "" {
		t.Errorf("logout of nobody ends a session: %d", status)
	}
	if status, page, _ := end(
		first.ID,
		b.root+"/login",
	); status != http.StatusOK ||
		!strings.Contains(page, "removeItem") {
		t.Errorf("logout answers %d %s", status, page)
	}
	if status, _ := b.token(renew); status != http.StatusBadRequest {
		t.Errorf("a session goes on after its end: %d", status)
	}
}
