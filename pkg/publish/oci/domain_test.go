// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"errors"
	"net/http"
	"testing"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestCredentialsStayInTheDomain: a registry names its token service, and could name any.
func TestCredentialsStayInTheDomain(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		registry, method, url string
		login, sent           bool
	}{
		"the registry itself": {
			"registry.gitlab.com",
			http.MethodPut,
			"https://registry.gitlab.com/v2/",
			true,
			true,
		},
		"a token service of GitLab": {
			"registry.gitlab.com",
			http.MethodGet,
			"https://gitlab.com/jwt/auth",
			true,
			true,
		},
		"a token service of Docker Hub": {
			"registry-1.docker.io",
			http.MethodPost,
			"https://auth.docker.io/token",
			false,
			true,
		},
		"a token service elsewhere": {
			"registry.example.org",
			http.MethodGet,
			"https://example.com/token",
			true,
			false,
		},
		"a POST elsewhere": {
			"registry.example.org",
			http.MethodPost,
			"https://example.com/token",
			false,
			false,
		},
		"the storage of blobs elsewhere": {
			"registry.example.org",
			http.MethodGet,
			"https://s3.example.com/blob?signature=1",
			false,
			true,
		},
		"another tenant of a shared domain": {"acme.github.io", http.MethodGet, "https://thief.github.io/token", true, false},
		"another tenant of a country":       {"a.example.co.uk", http.MethodGet, "https://thief.co.uk/token", true, false},
		"an address":                        {"10.0.2.1", http.MethodGet, "http://10.0.2.1:5000/token", true, true},
		"another address":                   {"10.0.2.1", http.MethodGet, "http://10.0.2.2/token", true, false},
		"a name of one's own network":       {"registry", http.MethodGet, "http://tokens/token", true, false},
		"another namespace of the cluster": {
			"registry.a.svc.cluster.local",
			http.MethodGet,
			"http://tokens.b.svc.cluster.local/token",
			true,
			false,
		},
		"a host that the installation has": {
			"rg.fr-par.scw.cloud",
			http.MethodGet,
			"https://api.scaleway.example/token",
			true,
			true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := false
			o := ownDomain{roundTripper(func(*http.Request) (*http.Response, error) {
				sent = true
				return &http.Response{Body: http.NoBody}, nil
			}), tt.registry, map[string]bool{"api.scaleway.example": true}}
			req, err := http.NewRequestWithContext(t.Context(), tt.method, tt.url, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if tt.login {
				req.SetBasicAuth("ci", "secret-password")
			}
			res, err := o.RoundTrip(req)
			if err == nil {
				_ = res.Body.Close()
			}
			var withheld *withheldError
			if sent != tt.sent || errors.As(err, &withheld) == tt.sent {
				t.Errorf("sent %t: %v", sent, err)
			}
		})
	}
}
