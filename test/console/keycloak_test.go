// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/uuid"

	"github.com/drogue-iot/ajour/console"
	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/auth"
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/drogue"
	"github.com/drogue-iot/ajour/pkg/local/registry"
	"github.com/drogue-iot/ajour/pkg/tekton"
	"github.com/drogue-iot/ajour/test/devtest"
	"github.com/drogue-iot/ajour/test/servers"
)

// TestKeycloak logs people in at a real Keycloak, whose realm is that of Drogue's chart. The API is the
// one of an installation, without builds. Its services get a token of their own client there.
func TestKeycloak(t *testing.T) {
	t.Parallel()
	k := servers.StartKeycloak(t)
	verifier := auth.New(auth.Options{Issuer: k.Issuer, Audience: "drogue"})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- verifier.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	token, err := auth.NewTokens(http.DefaultClient).Of(
		t.Context(),
		auth.Client{ID: "services", Secret: servers.ServiceSecret, Issuer: k.Issuer},
	)
	if err != nil {
		t.Fatal(err)
	}
	if roles := servers.Roles(t, token); !slices.Contains(roles, "drogue-admin") {
		t.Errorf("the client of the services has the roles %v", roles)
	}
	devices, makeApp := registryOf(t, verifier)
	pages, err := console.New(k.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	handler := api.New(api.Deps{
		Verifier: verifier,
		Registry: devices,
		Objects:  devices,
		State:    tekton.NewStore(),
		Runs:     none{},
		Sender:   none{},
		Pages:    pages,
	}, api.Options{
		Log: slog.New(slog.DiscardHandler), Clock: time.Now, NewID: func() string { return uuid.Must(uuid.NewV7()).String() },
		User: "ajour", Info: api.Info{Version: "test", Issuer: k.Issuer, ClientID: "drogue"},
	})
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.HandleFunc("POST /test/end-sessions", func(w http.ResponseWriter, r *http.Request) {
		if err := k.EndSessions(r.FormValue("user")); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	if _, err := backoff.Retry(t.Context(), func() (struct{}, error) { return struct{}{}, verifier.Ready() }); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"ada", "bob"} {
		makeApp(k.Token(user), "of-"+user)
	}
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	node(t, Scripts{Folder: ".", Program: program}, []string{
		"PORT=" + u.Port(), "ISSUER=" + k.Issuer,
	}, "--test", "--test-reporter=spec", "keycloak.js")
}

// registryOf starts a Drogue registry that takes the tokens, and returns a client of it, and what makes an
// application in it.
func registryOf(t *testing.T, v *auth.Verifier) (*drogue.Client, func(token, app string)) {
	t.Helper()
	users := registry.Credentials{
		Bearer: func(r *http.Request, token string) (registry.User, bool) {
			who, err := v.Verify(r.Context(), token)
			return registry.User{ID: who.Subject, Name: who.Name}, err == nil
		},
		Basic: func(user, _ string) (registry.User, bool) {
			return registry.User{ID: user, Name: user, Roles: []string{registry.AdminRole}}, true
		},
	}
	server, err := registry.Open(filepath.Join(t.TempDir(), "registry.db"), registry.Options{Credentials: users})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(server)
	t.Cleanup(func() {
		srv.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	firmware := devtest.Spec("https://git.example.org/firmware.git", "fw:main", "builder:1", []string{"make"})
	return drogue.New(srv.URL, srv.Client(), drogue.Basic("ajour", "x")), func(token, app string) {
		t.Helper()
		object := map[string]any{"metadata": map[string]any{"name": app}, "spec": devtest.Of(app, firmware)}
		c := devtest.Client{URL: srv.URL, Token: token}
		if err := c.Call(t.Context(), http.MethodPost, devtest.Apps, object, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// none has no builds, and no broker.
type none struct{}

// Get implements api.Runs.
func (none) Get(context.Context, string) (build.Run, error) { return build.Run{}, build.ErrNotFound }

// Log implements api.Runs.
func (none) Log(context.Context, string, build.LogOptions, func(string, io.Reader) error) error {
	return build.ErrNotFound
}

// Send implements event.Sender.
func (none) Send(context.Context, cloudevents.Event) error { return nil }
