// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"crypto/rand"
	"embed"
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

//go:embed login.html remember.html
var pages embed.FS

var templates = template.Must(template.ParseFS(pages, "*.html"))

// authorize is the authorization endpoint of the code flow (RFC 6749, section 4.1), which PKCE is needed
// for (RFC 7636). It shows a page with one button, and with a field for the password, which the browser
// remembers: whoever logs in may run programs as the user of this process.
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
	sent := r.Method == http.MethodPost
	if sent && i.isPassword(r.PostFormValue("password")) {
		code := rand.Text()
		i.codes.Add(code, grant{redirect.String(), q.Get("code_challenge"), q.Get("nonce"), time.Now().Add(codeLife)})
		back(w, r, redirect, url.Values{"code": {code}, "iss": {i.url}}) // RFC 9207
		return
	}
	status := http.StatusOK
	if sent {
		status = http.StatusForbidden
	}
	// A browser compares the redirect after a form, too.
	show(w, "login.html", status, "form-action 'self' "+origin(redirect), map[string]any{
		"Ask": !i.isPassword(""), "Wrong": sent, "User": developer, "To": origin(redirect),
	})
}

// show answers with a page, which may do nothing but what its own script does.
func show(w http.ResponseWriter, page string, status int, form string, data map[string]any) {
	nonce := rand.Text()
	data["Nonce"] = nonce
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+nonce+"'; script-src 'nonce-"+nonce+"'; "+
		form+"; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_ = templates.ExecuteTemplate(w, page, data) // the client is gone: there is nobody to tell
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

// LoginURL is a link that has a browser remember the password, for this origin alone, and shows it the page
// at the root of that. The password is in the fragment, which no server is sent.
func (i *Issuer) LoginURL() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.url + "/login#" + url.Values{"password": {i.password}}.Encode()
}

// remember is where LoginURL leads to.
func (i *Issuer) remember(w http.ResponseWriter, _ *http.Request) {
	show(w, "remember.html", http.StatusOK, "form-action 'none'", map[string]any{"To": "/"})
}

// logout is the end session endpoint (OpenID Connect RP-Initiated Logout 1.0, section 2).
func (i *Issuer) logout(w http.ResponseWriter, r *http.Request) {
	to, err := url.Parse(r.FormValue("post_logout_redirect_uri"))
	if err != nil || !loopback(to) {
		to = &url.URL{Path: "/"}
	}
	if state := r.FormValue("state"); state != "" {
		query := to.Query()
		query.Set("state", state)
		to.RawQuery = query.Encode()
	}
	id, ok := i.sessionOf(r.FormValue("id_token_hint"))
	if !ok { // perhaps not by the user: nothing ends
		http.Redirect(w, r, to.String(), http.StatusSeeOther)
		return
	}
	i.sessions.Remove(id)
	show(w, "remember.html", http.StatusOK, "form-action 'none'", map[string]any{"To": to.String(), "Forget": true})
}
