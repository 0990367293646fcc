// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// Outside is the name of the host that only a [Proxy] can resolve: this machine.
const Outside = "outside.test"

// Proxy is a forward proxy with a login, by CONNECT and for plain HTTP.
type Proxy struct {
	// Socket is where it listens, a socket of the file system, which is in every network namespace.
	Socket string
	// URL is where it listens besides, with the login.
	URL string

	mu    sync.Mutex
	asked []string
}

// StartProxy starts a proxy. It refuses every host but [Outside].
func StartProxy(t testing.TB) *Proxy {
	t.Helper()
	p := &Proxy{Socket: filepath.Join(t.TempDir(), "proxy.sock")}
	srv := &http.Server{Handler: p}
	t.Cleanup(func() { _ = srv.Close() })
	for _, network := range []string{"unix", "tcp"} {
		ln, err := net.Listen(network, map[string]string{"unix": p.Socket, "tcp": "127.0.0.1:0"}[network])
		if err != nil {
			t.Fatal(err)
		}
		if network == "tcp" {
			p.URL = ProxyURL(ln.Addr().String())
		}
		go func() { _ = srv.Serve(ln) }()
	}
	return p
}

const proxyPassword = "planted-proxy"

// ProxyURL is that of a proxy at an address, with the login.
func ProxyURL(address string) string {
	return (&url.URL{Scheme: "http", User: url.UserPassword(User, proxyPassword), Host: address}).String()
}

// Asked returns what the proxy was asked to connect to, each once: methods and addresses.
func (p *Proxy) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.Sort(p.asked)
	return slices.Compact(slices.Clone(p.asked))
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	login := "Basic " + base64.StdEncoding.EncodeToString([]byte(User+":"+proxyPassword))
	if r.Header.Get("Proxy-Authorization") != login {
		w.Header().Set("Proxy-Authenticate", `Basic realm="proxy"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.URL.Host)
	p.mu.Unlock()
	if r.URL.Hostname() != Outside {
		http.Error(w, "no way to "+r.URL.Hostname(), http.StatusForbidden)
		return
	}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+r.URL.Port())
	}
	if r.Method != http.MethodConnect {
		forward := httputil.ReverseProxy{
			Rewrite:   func(out *httputil.ProxyRequest) { out.Out.Host = r.Host },
			Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
		}
		forward.ServeHTTP(w, r)
		return
	}
	server, err := dial(r.Context(), "tcp", "")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer server.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	Join(client, buffered, server)
}

// Join passes on what both connections send, until both have ended. What the first one sends is
// read from a reader of its own.
func Join(client net.Conn, sent io.Reader, server net.Conn) {
	var both sync.WaitGroup
	pass := func(to net.Conn, from io.Reader) {
		_, err := io.Copy(to, from)
		if half, ok := to.(interface{ CloseWrite() error }); ok && !errors.Is(err, net.ErrClosed) {
			_ = half.CloseWrite()
		}
	}
	both.Go(func() { pass(server, sent) })
	pass(client, server)
	both.Wait()
}
