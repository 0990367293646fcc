// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command backend is what an installation on the test cluster stands beside: an
// OIDC issuer, the Drogue device registry, a git server, and a stand-in for hawkBit, at
// one address.
//
// Repositories are made with "PUT /git/NAME", whose body is an object of files,
// path to content; the answer is the commit. They are served at /git/NAME.git, those
// whose names begin with "private-" to who has the password only.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing/fstest"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/kelseyhightower/envconfig"
	"golang.org/x/sync/errgroup"
	certutil "k8s.io/client-go/util/cert"

	"github.com/drogue-iot/ajour/pkg/auth"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/git/gittest"
	"github.com/drogue-iot/ajour/pkg/hawkbit/hawkbittest"
	"github.com/drogue-iot/ajour/pkg/local/issuer"
	"github.com/drogue-iot/ajour/pkg/local/oci"
	"github.com/drogue-iot/ajour/pkg/local/registry"
	"github.com/drogue-iot/ajour/pkg/server"
	"github.com/drogue-iot/ajour/pkg/sink"
)

type envConfig struct {
	URL   string `envconfig:"URL" required:"true"`
	Sink  string `envconfig:"K_SINK" required:"true"`
	Dir   string `envconfig:"DIR" default:"/data"`
	User  string `envconfig:"DROGUE_USER" required:"true"`
	Token string `envconfig:"DROGUE_TOKEN" required:"true"`
	// The passwords of "ci" for git and the OCI registry, and of "admin" for hawkBit.
	GitPassword      string `envconfig:"GIT_PASSWORD" required:"true"`
	RegistryPassword string `envconfig:"REGISTRY_PASSWORD" required:"true"`
	HawkbitPassword  string `envconfig:"HAWKBIT_PASSWORD" required:"true"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	var c envConfig
	err := envconfig.Process("", &c)
	if err == nil {
		err = run(ctx, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// publish sends changes to the broker, other than those of applications that a test publishes by
// itself.
func publish(broker event.Sender) func(context.Context, cloudevents.Event) error {
	return func(ctx context.Context, ev cloudevents.Event) error {
		if app, _ := ev.Extensions()["application"].(string); strings.HasPrefix(app, "silent-") {
			return nil
		}
		return broker.Send(ctx, ev)
	}
}

func run(ctx context.Context, c envConfig) error {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	tokens, err := issuer.New(c.URL + "/realms/drogue")
	if err != nil {
		return err
	}
	verifier := auth.New(auth.Options{Issuer: tokens.URL(), Audience: issuer.Client})
	devices, err := registry.Open(filepath.Join(c.Dir, "registry.db"), registry.Options{
		Credentials: registry.Credentials{
			Bearer: func(r *http.Request, token string) (registry.User, bool) {
				who, err := verifier.Verify(r.Context(), token)
				return registry.User{ID: who.Subject, Name: who.Name}, err == nil
			},
			Basic: func(user, token string) (registry.User, bool) {
				return registry.User{ID: user, Name: user, Roles: []string{registry.AdminRole}}, user == c.User && token == c.Token
			},
			UserID: func(name string) (string, bool) { return issuer.Subject(name), name != "" },
		},
		Publish: publish(sink.New(c.Sink, &http.Client{Timeout: 10 * time.Second})), Log: log,
	})
	if err != nil {
		return err
	}
	defer devices.Close()
	repos, err := newRepositories(ctx, filepath.Join(c.Dir, "git"), c.GitPassword)
	if err != nil {
		return err
	}
	artifacts, err := oci.Open(filepath.Join(c.Dir, "oci"))
	if err != nil {
		return err
	}
	cert, ca, err := certificate(c.Dir, c.URL)
	if err != nil {
		return err
	}
	listeners, err := listen(ctx, cert)
	if err != nil {
		return err
	}
	hawkbit := hawkbittest.New(hawkbittest.Options{User: "admin", Password: c.HawkbitPassword})
	routes := map[string]http.Handler{
		"/realms/":       tokens,
		"/api/registry/": devices,
		"/api/admin/":    devices,
		"/git/":          http.StripPrefix("/git", repos),
		"/rest/v1/":      hawkbit,
		"/DEFAULT/":      hawkbit,
		"/v2/":           login("ci", c.RegistryPassword, artifacts),
		// What makes the certificate of the second port trusted.
		"/ca.crt": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(ca) }),
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, ln := range listeners {
		g.Go(func() error { return server.Run(ctx, ln, byPrefix(routes), log) })
	}
	g.Go(func() error { return verifier.Run(ctx) })
	g.Go(func() error { return devices.Run(ctx) })
	return g.Wait()
}

// listen opens a port for HTTP and one for HTTPS.
func listen(ctx context.Context, cert tls.Certificate) ([]net.Listener, error) {
	var lc net.ListenConfig
	plain, err := lc.Listen(ctx, "tcp", ":8080")
	if err != nil {
		return nil, err
	}
	secure, err := lc.Listen(ctx, "tcp", ":8443")
	if err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	return []net.Listener{
		plain,
		tls.NewListener(secure, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}),
	}, nil
}

// byPrefix routes by what a path begins with. A ServeMux would clean paths, and device
// names may hold anything.
func byPrefix(routes map[string]http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for prefix, h := range routes {
			if strings.HasPrefix(r.URL.EscapedPath(), prefix) {
				h.ServeHTTP(w, r)
				return
			}
		}
		if r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusNotFound)
		}
	})
}

// certificate returns that of the host of a URL, which outlives the container, and its
// CA in PEM.
func certificate(dir, base string) (cert tls.Certificate, ca []byte, err error) {
	files := [2]string{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
	if _, err := os.Stat(files[1]); errors.Is(err, fs.ErrNotExist) {
		u, err := url.Parse(base)
		if err != nil {
			return cert, nil, err
		}
		chain, key, err := certutil.GenerateSelfSignedCertKey(u.Hostname(), nil, nil)
		if err := errors.Join(err, os.WriteFile(files[0], chain, 0o600), os.WriteFile(files[1], key, 0o600)); err != nil {
			return cert, nil, err
		}
	}
	if cert, err = tls.LoadX509KeyPair(files[0], files[1]); err != nil {
		return cert, nil, err
	}
	ca, err = os.ReadFile(files[0])
	return cert, ca, err
}

// login lets in a user with a password.
func login(user, password string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, given, _ := r.BasicAuth(); name != user || given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// repositories makes repositories and serves them.
type repositories struct {
	*gittest.Server
	password string

	mu    sync.Mutex
	known map[string]*gittest.Repo
}

func newRepositories(ctx context.Context, dir, password string) (*repositories, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	s, err := gittest.New(ctx, dir)
	return &repositories{Server: s, password: password, known: map[string]*gittest.Repo{}}, err
}

func (s *repositories) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPut {
		var h http.Handler = s.Server
		if strings.HasPrefix(r.URL.Path, "/private-") {
			h = login("ci", s.password, h)
		}
		h.ServeHTTP(w, r)
		return
	}
	commit, err := s.put(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprint(w, commit)
}

func (s *repositories) put(r *http.Request) (string, error) {
	var content map[string]string
	if err := json.NewDecoder(r.Body).Decode(&content); err != nil {
		return "", err
	}
	files := fstest.MapFS{}
	for name, text := range content {
		files[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o755}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strings.Trim(r.URL.Path, "/")
	if s.known[name] == nil {
		repo, err := s.Create(r.Context(), name)
		if err != nil {
			return "", err
		}
		s.known[name] = repo
	}
	return s.known[name].Commit(r.Context(), "main", files)
}
