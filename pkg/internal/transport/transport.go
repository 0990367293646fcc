// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package transport makes the HTTP connections of the steps that publish: with the CA
// certificates and the proxies of the installation, and without a connection that stalls for ever.
package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/drogue-iot/ajour/pkg/internal/proxy"
)

const (
	connectTimeout = 10 * time.Second
	// idleTimeout is how long a connection may make no progress in either direction.
	// The length of an upload is bounded by the build's timeout alone.
	idleTimeout = 2 * time.Minute
)

// New returns a transport that trusts the certificates of a file besides those of the
// system, and goes through the proxies. The file may not be there.
func New(trustedCA string, proxies proxy.Settings) (*http.Transport, error) {
	if err := proxies.Validate(); err != nil {
		return nil, err
	}
	own, err := ReadOptional(trustedCA)
	if err != nil {
		return nil, err
	}
	var pool *x509.CertPool // nil stands for that of the system
	if own != "" {
		if pool, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("read CA certificates of the system: %w", err)
		}
		if !pool.AppendCertsFromPEM([]byte(own)) {
			return nil, fmt.Errorf("trusted CA %s holds no certificate in PEM format", trustedCA)
		}
	}
	dialer := net.Dialer{Timeout: connectTimeout}
	return &http.Transport{
		Proxy: proxies.ForRequest,
		// HTTP/1.1: an upload has a connection to itself.
		TLSClientConfig:     &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: connectTimeout, MaxIdleConnsPerHost: 8, IdleConnTimeout: idleTimeout,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &idleConn{conn}, nil
		},
	}, nil
}

// idleConn fails when nothing moves for too long: a registry may stop to read in
// the middle of an upload.
type idleConn struct{ net.Conn }

func (c *idleConn) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(idleTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *idleConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(idleTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Untrusted reports whether an error says that the certificate of a server was refused.
func Untrusted(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate)
}

// ReadOptional returns the trimmed content of a file, "" if there is none.
func ReadOptional(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	data, err := os.ReadFile(file) //nolint:gosec // named by the installation
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read settings of the installation: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}
