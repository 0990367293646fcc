// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/git"
	"github.com/drogue-iot/ajour/pkg/git/egress"
)

// refusedBy fetches with a policy, and returns the message of the refusal.
func refusedBy(t *testing.T, p egress.Policy, uri string) string {
	t.Helper()
	_, err := git.Fetch(
		t.Context(),
		git.Options{URI: uri, Dir: filepath.Join(t.TempDir(), "source"), Policy: p, Log: io.Discard},
	)
	var step *build.StepError
	if !errors.As(err, &step) || step.Reason != build.ReasonInvalidBuildSpec {
		t.Fatalf("got %v", err)
	}
	return step.Message
}

func TestThePolicyHoldsForEveryConnection(t *testing.T) {
	t.Parallel()
	repo := serve(t, nil)
	u, err := url.Parse(repo.url)
	if err != nil {
		t.Fatal(err)
	}
	byName := "http://localhost:" + u.Port()
	redirecting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, byName+r.URL.RequestURI(), http.StatusFound)
	}))
	t.Cleanup(redirecting.Close)
	for name, tt := range map[string]struct {
		policy    egress.Policy
		uri, want string
	}{
		"a scheme": {
			egress.Policy{Schemes: []string{"https", "ssh"}, Addresses: []string{"any"}},
			repo.url,
			"does not fetch by http: use https or ssh",
		},
		"a host": {
			egress.Policy{Schemes: []string{"http"}, Hosts: []string{"*.example.org"}, Addresses: []string{"any"}},
			repo.url,
			`the host "127.0.0.1"`,
		},
		"an address": {
			egress.Policy{Schemes: []string{"http"}, Addresses: []string{"public"}},
			repo.url,
			`the host "127.0.0.1" has no address`,
		},
		"an address by name": {
			egress.Policy{Schemes: []string{"http"}, Addresses: []string{"public"}},
			byName + u.Path,
			`the host "localhost" has no address`,
		},
		"a metadata service": {
			egress.Policy{Schemes: []string{"http"}, Addresses: []string{"public"}},
			"http://169.254.169.254/latest.git",
			"has no address",
		},
		"what it redirects to": {
			egress.Policy{Schemes: []string{"http"}, Hosts: []string{"127.0.0.1"}, Addresses: []string{"any"}},
			redirecting.URL + u.Path,
			`the host "localhost"`,
		},
		"a decimal address": {
			egress.Policy{Schemes: []string{"http"}, Addresses: []string{"public"}},
			"http://2130706433:" + u.Port() + u.Path,
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.want == "" { // depends on the resolver whether it means anything: it must not be reached
				if _, err := git.Fetch(
					t.Context(),
					git.Options{URI: tt.uri, Dir: filepath.Join(t.TempDir(), "s"), Policy: tt.policy, Log: io.Discard},
				); err == nil {
					t.Error("it was fetched")
				}
				return
			}
			if got := refusedBy(t, tt.policy, tt.uri); !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// private wraps a server such that it wants a password, and counts who came with one.
func private(next http.Handler, seen *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		if ok {
			seen.Add(1)
		}
		if user != "ci" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func TestCredentialsAreForTheirHostAlone(t *testing.T) {
	t.Parallel()
	var atHome, elsewhere atomic.Int64
	repo := serve(t, func(next http.Handler) http.Handler { return private(next, &atHome) })
	other := serve(t, func(next http.Handler) http.Handler { return private(next, &elsewhere) })
	otherURL, err := url.Parse(other.url)
	if err != nil {
		t.Fatal(err)
	}
	redirecting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+otherURL.Host+r.URL.RequestURI(), http.StatusFound)
	}))
	t.Cleanup(redirecting.Close)
	credentials := t.TempDir()
	withPassword := func(u string) string { return strings.Replace(u, "http://", "http://ci:secret@", 1) + "\n" }
	lines := withPassword(strings.TrimSuffix(repo.url, "/fw.git")) + withPassword(redirecting.URL)
	if err := os.WriteFile(filepath.Join(credentials, ".git-credentials"), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	try := func(uri, folder string) error {
		dir := filepath.Join(t.TempDir(), "source")
		var log strings.Builder
		_, err := git.Fetch(t.Context(), git.Options{URI: uri, Dir: dir, Policy: anywhere, Credentials: folder, Log: &log})
		left := log.String()
		if config, err := os.ReadFile(filepath.Join(dir, ".git/config")); err == nil {
			left += string(config)
		}
		if strings.Contains(left+errorText(err), "secret") {
			t.Errorf("the password is in what is left: %s %v", left, err)
		}
		return err
	}
	if err := try(repo.url, credentials); err != nil || atHome.Load() == 0 {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"without credentials":              try(repo.url, ""),
		"with those of another host":       try(other.url, credentials),
		"with those of whom it comes from": try(redirecting.URL+"/fw.git", credentials),
	} {
		var step *build.StepError
		if !errors.As(err, &step) || step.Reason != build.ReasonSourceAuthFailed {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("another host was sent credentials %d times", n)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
