// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package egress_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/git/egress"
	"github.com/drogue-iot/ajour/pkg/internal/proxy"
)

// TestAProxyIsNoWayAroundThePolicy: it is asked for hosts and schemes that are allowed, and for no
// others. Addresses bound what goes through none.
func TestAProxyIsNoWayAroundThePolicy(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.Host)
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(outer.Close)
	inner, err := egress.Open(t.Context(), egress.Policy{
		Schemes: []string{"http", "https"}, Hosts: []string{"git.example.org", "10.0.0.1"}, Addresses: []string{"public"},
		Proxies: proxy.Settings{HTTPS: outer.URL, HTTP: outer.URL, No: "10.0.0.0/8"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(inner.Close)
	through, err := url.Parse(inner.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(through)}}
	for _, u := range []string{
		"http://elsewhere.example.org/x", "https://elsewhere.example.org/x", "http://10.0.0.1/x", "https://10.0.0.1/x",
		"http://git.example.org/x", "https://git.example.org/x",
	} {
		res, err := client.Get(u)
		if err == nil {
			_ = res.Body.Close()
		}
		if err == nil && res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", u, res.Status)
		}
	}
	if diff := cmp.Diff([]string{"GET git.example.org", "CONNECT git.example.org:443"}, asked); diff != "" {
		t.Error(diff)
	}
	if denied := (*egress.DeniedError)(nil); !errors.As(inner.Denied(), &denied) ||
		denied.Message != `this installation does not fetch from the host "elsewhere.example.org"` {
		t.Error(inner.Denied())
	}
}
