// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drogue-iot/ajour/cmd/internal/service"
)

// credentials returns those of a folder with the files.
func credentials(t *testing.T, files map[string]string) service.Credentials {
	t.Helper()
	c := service.Credentials{Folder: t.TempDir()}
	write(t, c, files)
	return c
}

func write(t *testing.T, c service.Credentials, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(c.Folder, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestATokenThatWasReplacedCountsFromTheNextCallOn: a Secret that is mounted changes in place.
func TestATokenThatWasReplacedCountsFromTheNextCallOn(t *testing.T) {
	t.Parallel()
	c := credentials(t, map[string]string{"user": "ajour", "token": "first"})
	who, auth, err := c.Identity(service.Transport{}, http.DefaultClient)
	if err != nil || who != "ajour" {
		t.Fatal(who, err)
	}
	for _, token := range []string{"first", "second"} {
		write(t, c, map[string]string{"token": token})
		h := http.Header{}
		if err := auth(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		user, got, ok := (&http.Request{Header: h}).BasicAuth()
		if !ok || user != "ajour" || got != token {
			t.Errorf("%s:%s", user, got)
		}
	}
}

// TestWrongCredentialsAreRefusedAtTheStart and not with the first call.
func TestWrongCredentialsAreRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"none":       {nil, "neither user and token nor service-client, service-secret and issuer-url are there"},
		"no token":   {map[string]string{"user": "ajour"}, "token: no such file or directory"},
		"no user":    {map[string]string{"user": "", "token": "x"}, "the file user of "},
		"no secret":  {map[string]string{"service-client": "services", "issuer-url": "https://x"}, "service-secret: no such file"},
		"empty":      {map[string]string{"user": "ajour", "token": " "}, "the file token of "},
		"no address": {client("services", "s", "x"), `the file issuer-url of DROGUE_CREDENTIALS: "x" is no URL`},
		"plain HTTP": {client("services", "s", "http://x"), "tokens would be sent to \"http://x\" unencrypted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := credentials(t, tt.files)
			_, auth, err := c.Identity(service.Transport{}, http.DefaultClient)
			if auth != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func client(id, secret, issuer string) map[string]string {
	return map[string]string{"service-client": id, "service-secret": secret, "issuer-url": issuer}
}

// TestATokenOfAClientIsUsedUntilItExpires, and one of a secret that was replaced from the next call on.
func TestATokenOfAClientIsUsedUntilItExpires(t *testing.T) {
	t.Parallel()
	given, lifetime := 0, 3600
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer": %q, "token_endpoint": %q}`, srv.URL, srv.URL+"/token")
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		id, secret, _ := r.BasicAuth()
		if id != "services" || secret == "wrong" || r.FormValue("grant_type") != "client_credentials" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error": "invalid_client", "error_description": "Invalid client credentials"}`)
			return
		}
		given++
		fmt.Fprintf(w, `{"access_token": "%s-%d", "token_type": "Bearer", "expires_in": %d}`, secret, given, lifetime)
	})
	c := credentials(t, client("services", "one", srv.URL))
	who, auth, err := c.Identity(service.Transport{AllowHTTP: true}, srv.Client())
	if err != nil || who != "service-account-services" {
		t.Fatal(who, err)
	}
	call := func(want string) {
		t.Helper()
		h := http.Header{}
		if err := auth(t.Context(), h); err != nil {
			t.Error(err)
		}
		if got := h.Get("Authorization"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	call("Bearer one-1")
	call("Bearer one-1")
	lifetime = 1 // less than what a call may take
	write(t, c, map[string]string{"service-secret": "two"})
	call("Bearer two-2")
	call("Bearer two-3")
	write(t, c, map[string]string{"service-secret": "wrong"})
	err = auth(t.Context(), http.Header{})
	if err == nil || !strings.Contains(err.Error(), `token of the client "services": `) ||
		!strings.Contains(err.Error(), "Invalid client credentials") {
		t.Error(err)
	}
}
