// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// withTokens puts a server before a registry whose other paths are that of a token
// service, by the specification of distribution's token authentication. It signs with the
// certificate of the folder, and speaks HTTPS with that if asked to. It returns its host, and
// the part of the registry's configuration that names it.
func withTokens(t testing.TB, dir, registry string, o RegistryOptions) (host, config string) {
	t.Helper()
	const service, issuer = "registry", "test"
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	var chain []string
	for _, der := range cert.Certificate {
		chain = append(chain, base64.StdEncoding.EncodeToString(der))
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: registry})
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}}
	known := &repositories{}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/token" {
			proxy.ServeHTTP(w, r)
			return
		}
		if user, password, _ := r.BasicAuth(); user != o.User || password != o.Password || r.FormValue("service") != service {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		now := time.Now()
		token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
			"iss": issuer, "aud": service, "sub": o.User, "jti": rand.Text(), "access": known.access(r.Form["scope"]),
			"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Minute).Unix(),
		})
		token.Header["x5c"] = chain
		signed, err := token.SignedString(cert.PrivateKey)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"token": signed})
	}))
	if o.TLS {
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), fmt.Sprintf(
		"auth: {token: {realm: %q, service: %s, issuer: %s, rootcertbundle: %q}}\n", srv.URL+"/token", service,
		issuer, filepath.Join(dir, "cert.pem"),
	)
}

// repositories are those that somebody has pushed to.
type repositories struct{ names sync.Map }

// access is what is granted of the scopes: as with Quay, nobody may read a repository
// that nobody has pushed to.
func (k *repositories) access(scopes []string) (access []map[string]any) {
	for _, scope := range scopes {
		kind, rest, _ := strings.Cut(scope, ":")
		name, actions, _ := strings.Cut(rest, ":")
		if strings.Contains(actions, "push") {
			k.names.Store(name, true)
		}
		if _, ok := k.names.Load(name); ok {
			access = append(access, map[string]any{"type": kind, "name": name, "actions": strings.Split(actions, ",")})
		}
	}
	return access
}
