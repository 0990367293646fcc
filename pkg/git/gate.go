// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git

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
)

// connectTimeout bounds the time to connect to a server.
const connectTimeout = 10 * time.Second

// gate is an HTTP proxy on this machine, through which git and git-lfs make all
// their connections by http and https. It is where the policy holds: git follows
// redirects, and connects to what a repository names for submodules and LFS, and
// would look names up by itself.
type gate struct {
	policy   Policy
	password string
	server   *http.Server
	listener net.Listener
	forward  http.Handler

	mu      sync.Mutex
	refused error // the first connection that was not allowed
	failed  error // the last connection, if it failed
}

// openGate starts a gate, which runs until close.
func openGate(ctx context.Context, p Policy) (*gate, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open gate: %w", err)
	}
	g := &gate{policy: p, password: rand.Text(), listener: ln}
	transport := &http.Transport{DialContext: g.dial, DisableCompression: true}
	g.forward = &httputil.ReverseProxy{
		// Nothing is changed: the request names where it goes.
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host }, Transport: transport, FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { g.fail(w, err) },
	}
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: connectTimeout}
	go func() { _ = g.server.Serve(ln) }() // ends with close
	return g, nil
}

func (g *gate) close() { _ = g.server.Close() }

// url is what git is configured to use. The password keeps other users of the
// machine out.
func (g *gate) url() string { return "http://ajour:" + g.password + "@" + g.listener.Addr().String() }

// refusal returns the first connection that was not allowed, nil if all were.
func (g *gate) refusal() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refused
}

// broken returns why the last connection failed, nil if it did not.
func (g *gate) broken() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed
}

func (g *gate) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := g.policy.dial(ctx, network, address)
	g.note(err)
	return conn, err
}

// note remembers how a connection went.
func (g *gate) note(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failed = err
	if r := (*refusal)(nil); g.refused == nil && errors.As(err, &r) {
		g.refused = err
	}
}

func (g *gate) fail(w http.ResponseWriter, err error) {
	status := http.StatusBadGateway
	if r := (*refusal)(nil); errors.As(err, &r) {
		status = http.StatusForbidden
	}
	http.Error(w, err.Error(), status)
}

// ServeHTTP implements http.Handler for a proxy's two kinds of request.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	if err := g.policy.checkScheme(scheme); err != nil {
		g.note(err)
		g.fail(w, err)
		return
	}
	if r.Method == http.MethodConnect {
		g.tunnel(w, r)
		return
	}
	g.forward.ServeHTTP(w, r)
}

// tunnel joins the client and the server that it asks for.
func (g *gate) tunnel(w http.ResponseWriter, r *http.Request) {
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
	done := make(chan struct{}, 2)
	pass := func(to net.Conn, from io.Reader) {
		_, _ = io.Copy(to, from) // either side may end it at any time
		if half, ok := to.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
		done <- struct{}{}
	}
	sent, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	if _, err := server.Write(sent); err != nil {
		return
	}
	go pass(server, client)
	pass(client, server)
	<-done
}
