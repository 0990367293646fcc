// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
)

// The servers all have the certificate that net/http/httptest brings along. The others
// read the certificates that they trust from one file, which holds those of the system
// too, as the ones that our steps trust do.
func (b *bench) ca() string     { return filepath.Join(b.dir, "ca.crt") }
func (b *bench) key() string    { return filepath.Join(b.dir, "ca.key") }
func (b *bench) bundle() string { return filepath.Join(b.dir, "bundle.crt") }

func (b *bench) writeCertificate() error {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	key, err := x509.MarshalPKCS8PrivateKey(srv.TLS.Certificates[0].PrivateKey)
	if err != nil {
		return err
	}
	system, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	return errors.Join(err,
		os.WriteFile(b.ca(), cert, 0o600),
		os.WriteFile(b.key(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600),
		os.WriteFile(b.bundle(), append(system, cert...), 0o600),
	)
}
