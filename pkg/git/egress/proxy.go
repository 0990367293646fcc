// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"

	"github.com/drogue-iot/ajour/pkg/internal/proxy"
)

// connectTimeout bounds the time to connect to a server.
const connectTimeout = 10 * time.Second

// Proxy is an HTTP proxy on this machine, through which git and git-lfs make all their
// connections by http and https. It enforces the policy, because git itself follows
// redirects, connects to what a repository names for submodules and LFS, and resolves
// names on its own.
type Proxy struct {
	policy   Policy
	password string
	server   *http.Server
	listener net.Listener
	forward  *httputil.ReverseProxy
	through  *httputil.ReverseProxy // a proxy that is in between

	mu     sync.Mutex
	denied error // the first connection that the policy did not allow
	failed error // the last connection, if it failed
}

// Open starts a proxy, which runs until [Proxy.Close].
func Open(ctx context.Context, p Policy) (*Proxy, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open egress proxy: %w", err)
	}
	g := &Proxy{policy: p, password: rand.Text(), listener: ln}
	g.forward = g.forwarder(&http.Transport{DialContext: g.dial, DisableCompression: true})
	g.through = g.forwarder(&http.Transport{Proxy: p.Proxies.ForRequest, DisableCompression: true})
	g.through.ModifyResponse = func(r *http.Response) error {
		if r.StatusCode == http.StatusProxyAuthRequired {
			return &proxy.RefusedError{Address: r.Request.URL.Host, Status: r.StatusCode}
		}
		g.note(nil)
		return nil
	}
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: connectTimeout}
	go func() { _ = g.server.Serve(ln) }() // ends with close
	return g, nil
}

func (g *Proxy) forwarder(transport http.RoundTripper) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		// Nothing is changed: the request names where it goes.
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host }, Transport: transport, FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			g.note(err)
			g.fail(w, err)
		},
	}
}

// Close ends the proxy and its connections.
func (g *Proxy) Close() { _ = g.server.Close() }

// URL returns the address that git is configured to use. The password keeps other users
// of the machine out.
func (g *Proxy) URL() string { return "http://ajour:" + g.password + "@" + g.listener.Addr().String() }

// Denied returns the error of the first connection that the policy did not allow, nil if
// all were allowed.
func (g *Proxy) Denied() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.denied
}

// Failed returns why the last connection failed, nil if it did not.
func (g *Proxy) Failed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed
}

func (g *Proxy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := g.policy.Dial(ctx, network, address)
	g.note(err)
	return conn, err
}

// note records the outcome of a connection.
func (g *Proxy) note(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failed = err
	if e := (*DeniedError)(nil); g.denied == nil && errors.As(err, &e) {
		g.denied = err
	}
}

func (g *Proxy) fail(w http.ResponseWriter, err error) {
	status := http.StatusBadGateway
	if e := (*DeniedError)(nil); errors.As(err, &e) {
		status = http.StatusForbidden
	}
	http.Error(w, err.Error(), status)
}

// ServeHTTP implements http.Handler for a proxy's two kinds of request.
func (g *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, password, _ := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth()
	if subtle.ConstantTimeCompare([]byte(password), []byte(g.password)) != 1 {
		w.Header().Set("Proxy-Authenticate", "Basic")
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	r.Header.Del("Proxy-Authorization")
	scheme := "https"
	if r.Method != http.MethodConnect {
		scheme = "http"
	}
	if err := g.policy.CheckScheme(scheme); err != nil {
		g.note(err)
		g.fail(w, err)
		return
	}
	if r.Method == http.MethodConnect {
		g.tunnel(w, r)
		return
	}
	through, err := g.policy.Proxies.For(r.URL)
	if err == nil && through != nil {
		err = g.policy.checkHost(r.URL.Hostname())
	}
	switch {
	case err != nil:
		g.note(err)
		g.fail(w, err)
	case through != nil:
		g.through.ServeHTTP(w, r)
	default:
		g.forward.ServeHTTP(w, r)
	}
}

// tunnel joins the client and the server that it asks for.
func (g *Proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	server, err := g.dial(r.Context(), "tcp", r.Host)
	if err != nil {
		g.fail(w, err)
		return
	}
	defer server.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		g.fail(w, err)
		return
	}
	defer client.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	relay(client, buffered, server)
}
