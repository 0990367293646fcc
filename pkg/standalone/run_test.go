// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package standalone_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/drogue-iot/ajour/pkg/standalone"
)

// Knative's client package starts a goroutine when it is loaded.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("knative.dev/eventing/pkg/kncloudevents.cleanupClientsMap"))
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(data))
}

// begin runs everything until stop is called, which returns how it ended.
func begin(t *testing.T, dir string) (s standalone.Session, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan standalone.Session, 1), make(chan error, 1)
	go func() {
		o := standalone.Options{
			Dir: dir, Listen: "127.0.0.1:0", Step: "false", Log: slog.New(slog.DiscardHandler),
		}
		done <- standalone.Run(ctx, o,
			func(s standalone.Session) error { ready <- s; return nil })
	}()
	select {
	case s = <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	return s, func() error { cancel(); return <-done }
}

// TestOnlyTheUserOfTheProcessGetsAToken, who can read the session: a build runs commands as that
// user, and anybody on the machine reaches the port.
func TestOnlyTheUserOfTheProcessGetsAToken(t *testing.T) {
	s, stop := begin(t, t.TempDir())
	token := func(form url.Values) (status int, token string) {
		t.Helper()
		res, err := http.PostForm(s.Issuer+"/token", form)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var answer struct {
			Token string `json:"access_token"`
		}
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, answer.Token
	}
	for _, form := range []url.Values{{}, {"username": {"developer"}}, {"username": {"developer"}, "password": {"x"}}} {
		if status, got := token(form); status != http.StatusBadRequest || got != "" {
			t.Errorf("%v: %d %q", form, status, got)
		}
	}
	status, got := token(url.Values{"username": {"ada"}, "password": {s.Password}})
	if status != http.StatusOK || got == "" {
		t.Errorf("%d %q", status, got)
	}
	// Nor does anybody make an application without one, whose description would be built.
	res, err := http.Post(
		s.URL+"/api/registry/v1alpha1/apps", "application/json", strings.NewReader(`{"metadata":{"name":"a"}}`),
	)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Error(res.Status)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestRunServesEverythingAndEndsCleanly(t *testing.T) {
	s, stop := begin(t, t.TempDir())
	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/v2/": 200, "/nothing": 404, "/api/builds/v1alpha1": 401, "/api/build/v1alpha1": 401,
		"/api/registry/v1alpha1/apps": 403, "/realms/drogue/.well-known/openid-configuration": 200, "/broker": 404, "/status": 404,
	} {
		if code, body := get(t, s.URL+path); code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example:80"
	if res, err := http.DefaultClient.Do(req); err != nil || res.StatusCode != http.StatusMisdirectedRequest {
		t.Error(res, err)
	} else {
		res.Body.Close()
	}
	_, body := get(t, s.URL+"/.well-known/drogue-endpoints")
	var endpoints map[string]any
	if err := json.Unmarshal(
		[]byte(body),
		&endpoints,
	); err != nil || endpoints["api"] != s.URL ||
		endpoints["issuer_url"] != s.Issuer {
		t.Error(endpoints, err)
	}
	started := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	t.Logf("ended after %s", time.Since(started))
}

func TestASecondProcessOnTheSameDataIsRefused(t *testing.T) {
	dir := t.TempDir()
	_, stop := begin(t, dir)
	err := standalone.Run(
		t.Context(), standalone.Options{Dir: dir, Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)}, nil,
	)
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAnAddressThatIsTakenIsAnError(t *testing.T) {
	s, stop := begin(t, t.TempDir())
	err := standalone.Run(t.Context(), standalone.Options{
		Dir: t.TempDir(), Listen: strings.TrimPrefix(s.URL, "http://"), Log: slog.New(slog.DiscardHandler),
	}, nil)
	if err == nil || !strings.Contains(fmt.Sprint(err), "address already in use") {
		t.Errorf("got %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAFolderThatCannotBeMadeIsAnError(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := standalone.Run(t.Context(), standalone.Options{Dir: file, Listen: "127.0.0.1:0"}, nil); err == nil {
		t.Error("no error")
	}
}
