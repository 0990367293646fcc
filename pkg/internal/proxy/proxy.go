// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package proxy finds the proxy that a step of a build goes out by, and connects through it.
//
// A step takes the addresses from variables of its own: HTTPS_PROXY and the like are those of the
// builder, with which it may share a pod, and which a description sets.
package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// Variables of a step, which hold what [Settings] do.
const (
	VariableHTTPS = "AJOUR_HTTPS_PROXY"
	VariableHTTP  = "AJOUR_HTTP_PROXY"
	VariableNo    = "AJOUR_NO_PROXY"
)

// connectTimeout bounds how long a proxy may take to answer.
const connectTimeout = 30 * time.Second

// Settings are the addresses of proxies, in the form of the variables that curl and others read.
// The zero value means none.
type Settings struct {
	// HTTPS is the URL of the proxy for https and for ssh, HTTP that for http; empty for none.
	HTTPS string `json:"https,omitempty"`
	HTTP  string `json:"http,omitempty"`
	// No lists the hosts that are connected to without one, separated by commas: names, which
	// stand for all below them too, addresses, and ranges of these.
	No string `json:"no,omitempty"`
}

// OfStep reads the settings of a step from its environment.
func OfStep() Settings {
	get := os.Getenv //nolint:forbidigo // main has left no other variables
	return Settings{HTTPS: get(VariableHTTPS), HTTP: get(VariableHTTP), No: get(VariableNo)}
}

// OfShell reads the settings of a person from HTTPS_PROXY, HTTP_PROXY and NO_PROXY, or the names in
// lower case. A proxy without a scheme is one by HTTP, as other programs take it.
func OfShell() Settings {
	c := httpproxy.FromEnvironment()
	for _, address := range []*string{&c.HTTPSProxy, &c.HTTPProxy} {
		if *address != "" && !strings.Contains(*address, "://") {
			*address = "http://" + *address
		}
	}
	return Settings{HTTPS: c.HTTPSProxy, HTTP: c.HTTPProxy, No: c.NoProxy}
}

// ForSteps returns the settings as variables of a step, "NAME=VALUE".
func (s Settings) ForSteps() []string {
	return s.environ(func(use string) []string { return []string{"AJOUR_" + strings.ToUpper(use) + "_PROXY"} })
}

// ForBuilders returns them as variables that other programs read, in both spellings.
func (s Settings) ForBuilders() []string {
	return s.environ(func(use string) []string { return []string{strings.ToUpper(use) + "_PROXY", use + "_proxy"} })
}

func (s Settings) environ(names func(use string) []string) (env []string) {
	for _, a := range []struct{ use, value string }{{"https", s.HTTPS}, {"http", s.HTTP}, {"no", s.No}} {
		for _, name := range names(a.use) {
			if a.value != "" {
				env = append(env, name+"="+a.value)
			}
		}
	}
	return env
}

// Validate refuses an address that is no URL of a proxy. The error does not repeat it, since it
// may have a password.
func (s Settings) Validate() error {
	for name, address := range map[string]string{"https": s.HTTPS, "http": s.HTTP} {
		if address == "" {
			continue
		}
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Path != "" && u.Path != "/" {
			return fmt.Errorf("the proxy for %s is no URL of one: write it as in http://proxy.example.org:3128", name)
		}
	}
	return nil
}

// For returns the proxy for a URL, nil for none. Those of this very machine need none.
func (s Settings) For(u *url.URL) (*url.URL, error) {
	c := httpproxy.Config{HTTPSProxy: s.HTTPS, HTTPProxy: s.HTTP, NoProxy: s.No}
	if u.Scheme != "http" {
		u = &url.URL{Scheme: "https", Host: u.Host} // ssh goes by the same tunnel
	}
	proxy, err := c.ProxyFunc()(u)
	if err != nil {
		return nil, errors.New("the address of the proxy of this installation is no URL")
	}
	return proxy, nil
}

// ForRequest is what [http.Transport] asks for its proxy.
func (s Settings) ForRequest(r *http.Request) (*url.URL, error) { return s.For(r.URL) }

// RefusedError is the answer of a proxy that does not connect.
type RefusedError struct {
	Address string
	Status  int
}

// Error says what the proxy answered, and what to do.
func (e *RefusedError) Error() string {
	text := fmt.Sprintf("the proxy of this installation answers %d %s", e.Status, http.StatusText(e.Status))
	if e.Status == http.StatusProxyAuthRequired {
		return text + ": put its address with user and password into the Secret proxy"
	}
	return text + " for " + e.Address
}

// Dial connects to an address, a host with a port, through a proxy: by CONNECT (RFC 9110, section 9.3.6).
func Dial(ctx context.Context, proxy *url.URL, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := dialProxy(ctx, proxy)
	if err != nil {
		return nil, fmt.Errorf("connect to the proxy of this installation: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	tunnel, err := connect(conn, proxy, address)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return tunnel, nil
}

func dialProxy(ctx context.Context, proxy *url.URL) (net.Conn, error) {
	port := proxy.Port()
	if port == "" {
		port = proxy.Scheme
	}
	address := net.JoinHostPort(proxy.Hostname(), port)
	if proxy.Scheme == "https" {
		return (&tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

func connect(conn net.Conn, proxy *url.URL, address string) (net.Conn, error) {
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if u := proxy.User; u != nil {
		password, _ := u.Password()
		login := base64.StdEncoding.EncodeToString([]byte(u.Username() + ":" + password))
		r.Header.Set("Proxy-Authorization", "Basic "+login)
	}
	if err := r.Write(conn); err != nil {
		return nil, fmt.Errorf("ask the proxy of this installation: %w", err)
	}
	buffered := bufio.NewReader(conn)
	res, err := http.ReadResponse(buffered, r)
	if err != nil {
		return nil, fmt.Errorf("read the answer of the proxy of this installation: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return nil, &RefusedError{Address: address, Status: res.StatusCode}
	}
	return &bufferedConn{conn, buffered}, nil
}

// bufferedConn reads what the server has sent with the answer of the proxy first: a server of ssh
// is the one that speaks first.
type bufferedConn struct {
	net.Conn
	buffered *bufio.Reader
}

func (c *bufferedConn) Read(p []byte) (int, error) { return c.buffered.Read(p) }

// CloseWrite tells the server that nothing more comes.
func (c *bufferedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
