// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"time"
)

// proxy is an HTTP proxy into the network of the sandbox: CONNECT for what is
// encrypted, and plain requests. Names are those of the cluster's DNS.
func proxy() http.Handler {
	dialer := &net.Dialer{Timeout: 10 * time.Second, Resolver: &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "udp", nodeIP+":53")
		},
	}}
	plain := &httputil.ReverseProxy{
		Rewrite:       func(*httputil.ProxyRequest) {}, // the URL is complete already
		Transport:     &http.Transport{DialContext: dialer.DialContext},
		FlushInterval: -1, // logs are followed through it
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			plain.ServeHTTP(w, r)
			return
		}
		out, err := dialer.DialContext(r.Context(), "tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer out.Close()
		in, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer in.Close()
		if _, err := io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
			return
		}
		done := make(chan struct{}, 2)
		for _, pair := range []struct {
			dst net.Conn
			src io.Reader
		}{{out, buffered}, {in, out}} {
			go func() {
				_, _ = io.Copy(pair.dst, pair.src) // one side is gone: so is the tunnel
				done <- struct{}{}
			}()
		}
		<-done
	})
}
