// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/drogue-iot/ajour/pkg/internal/proxy"
)

// dialThrough connects to a host through a proxy, which resolves its name.
func (p Policy) dialThrough(ctx context.Context, through *url.URL, host, address string) (net.Conn, error) {
	if err := p.checkHost(host); err != nil {
		return nil, err
	}
	conn, err := proxy.Dial(ctx, through, address)
	var refused *proxy.RefusedError
	if errors.As(err, &refused) && refused.Status == http.StatusForbidden {
		return nil, &DeniedError{refused.Error()}
	}
	return conn, err
}

// Reachable connects to a host and returns the address and the port at which a client that resolves
// no names, such as ssh, finds it: its own, or those of a tunnel on this machine, for one connection,
// where a proxy is in between.
func (p Policy) Reachable(ctx context.Context, host, port string) (address, at string, err error) {
	conn, err := p.Dial(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return "", "", err
	}
	through, err := p.Proxies.For(&url.URL{Scheme: "ssh", Host: net.JoinHostPort(host, port)})
	if err == nil && through != nil {
		return forward(ctx, conn)
	}
	defer conn.Close()
	address, _, err = net.SplitHostPort(conn.RemoteAddr().String())
	return address, port, err
}

// forward gives a connection to the first client at the address that it returns.
func forward(ctx context.Context, server net.Conn) (address, port string, err error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", errors.Join(fmt.Errorf("open tunnel: %w", err), server.Close())
	}
	go func() {
		defer server.Close()
		client, err := ln.Accept()
		if errors.Join(err, ln.Close()) != nil {
			return
		}
		defer client.Close()
		relay(client, client, server)
	}()
	return net.SplitHostPort(ln.Addr().String())
}

// relay passes on what both sides send, until both have ended. What the client sends is read from
// a reader of its own.
func relay(client net.Conn, sent io.Reader, server net.Conn) {
	done := make(chan struct{}, 2)
	pass := func(to net.Conn, from io.Reader) {
		_, _ = io.Copy(to, from) // either side may end it at any time
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		done <- struct{}{}
	}
	go pass(server, sent)
	pass(client, server)
	<-done
}
