// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"crypto/rand"
	_ "embed"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"time"
)

// codeLife is how long a code can be exchanged.
const codeLife = time.Minute

// developer is the one user who logs in with a browser.
const developer = "developer"

// grant is what a code was given for.
type grant struct {
	redirect, challenge, nonce string
	until                      time.Time
}

// fromHere refuses a form that a page of a different origin sends.
var fromHere = http.NewCrossOriginProtection()

//go:embed login.html
var loginPage string

var loginTemplate = template.Must(template.New("login").Parse(loginPage))

// authorize is the authorization endpoint of the code flow (RFC 6749, section 4.1), which PKCE is needed
// for (RFC 7636). It shows a page with one button, and a password besides to a browser that has not shown
// that before: whoever logs in may run programs as the user of this process.
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	redirect, err := url.Parse(q.Get("redirect_uri"))
	switch {
	case q.Get("client_id") != Client:
		http.Error(w, "The parameter client_id is wrong: use "+Client, http.StatusBadRequest)
		return
	case err != nil || !loopback(redirect):
		http.Error(w, "The parameter redirect_uri is wrong: use an http URL of this machine", http.StatusBadRequest)
		return
	case q.Get("response_type") != "code":
		back(w, r, redirect, url.Values{"error": {"unsupported_response_type"}})
		return
	case q.Get("code_challenge") == "" || q.Get("code_challenge_method") != "S256":
		back(w, r, redirect, url.Values{
			"error": {"invalid_request"}, "error_description": {"PKCE with S256 is needed"},
		})
		return
	}
	known := i.knows(r)
	if r.Method == http.MethodPost && (known || i.isPassword(r.PostFormValue("password"))) {
		i.setCookie(w)
		code := rand.Text()
		i.codes.Add(code, grant{redirect.String(), q.Get("code_challenge"), q.Get("nonce"), time.Now().Add(codeLife)})
		back(w, r, redirect, url.Values{"code": {code}, "iss": {i.url}}) // RFC 9207
		return
	}
	nonce := rand.Text()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	// A browser compares the redirect after a form, too.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+nonce+"'; form-action 'self' "+
		origin(redirect)+"; base-uri 'none'; frame-ancestors 'none'")
	wrong := r.Method == http.MethodPost
	if wrong {
		w.WriteHeader(http.StatusForbidden)
	}
	_ = loginTemplate.Execute(w, map[string]any{ // the client is gone: there is nobody to tell
		"Nonce": nonce, "Ask": !known, "Wrong": wrong, "User": developer,
	})
}

// back sends the browser back to the client.
func back(w http.ResponseWriter, r *http.Request, redirect *url.URL, answer url.Values) {
	to := *redirect
	all := to.Query()
	for name, values := range answer {
		all[name] = values
	}
	if state := r.URL.Query().Get("state"); state != "" {
		all.Set("state", state)
	}
	to.RawQuery = all.Encode()
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to.String(), http.StatusSeeOther) //nolint:gosec // to this machine alone: see loopback
}

// loopback reports whether a URL is one of this machine, of any port (RFC 8252, section 7.3).
func loopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && u.User == nil && u.Fragment == "" &&
		(u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// LoginURL is a link that has a browser remembered, and shows it the page at the root of the issuer's
// origin. It has the password in it.
func (i *Issuer) LoginURL() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.url + "/login?" + url.Values{"password": {i.password}}.Encode()
}

// remember is where LoginURL leads to.
func (i *Issuer) remember(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	if i.isPassword(r.URL.Query().Get("password")) {
		i.setCookie(w)
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// cookie is the name of the cookie. Browsers share cookies among the ports of a host.
func (i *Issuer) cookie() string {
	u, err := url.Parse(i.url)
	if err != nil {
		return "ajour-developer"
	}
	return "ajour-developer-" + u.Port()
}

func (i *Issuer) setCookie(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // plain HTTP, to this machine alone
		Name: i.cookie(), Value: i.browser, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// knows reports whether a browser has shown the password.
func (i *Issuer) knows(r *http.Request) bool {
	if i.isPassword("") {
		return true
	}
	c, err := r.Cookie(i.cookie())
	return err == nil && same(c.Value, i.browser)
}

// logout is the end session endpoint (OpenID Connect RP-Initiated Logout 1.0, section 2).
func (i *Issuer) logout(w http.ResponseWriter, r *http.Request) {
	if id, ok := i.sessionOf(r.FormValue("id_token_hint")); ok {
		i.sessions.Remove(id)
	}
	to, err := url.Parse(r.FormValue("post_logout_redirect_uri"))
	if err != nil || !loopback(to) {
		to = &url.URL{Path: "/"}
	}
	back(w, r, to, nil)
}
