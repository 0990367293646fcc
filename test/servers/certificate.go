// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	certutil "k8s.io/client-go/util/cert"
)

// writeCertificate makes the certificate of a server of this machine, whose CA is in the
// same file.
func writeCertificate(t testing.TB, dir string) {
	t.Helper()
	cert, key, err := certutil.GenerateSelfSignedCertKey("127.0.0.1", nil, []string{Outside})
	if err != nil {
		t.Fatal(err)
	}
	for file, data := range map[string][]byte{"cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// trusting returns a client that trusts a certificate.
func trusting(t testing.TB, ca string) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	data, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool.AppendCertsFromPEM(data)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

// TLS is a server by HTTPS.
type TLS struct {
	URL string
	// CA is its certificate, in PEM form.
	CA []byte
}

// StartTLS serves a handler to one user, with a certificate of its own.
func StartTLS(t testing.TB, h http.Handler, user, password string) TLS {
	t.Helper()
	dir := t.TempDir()
	writeCertificate(t, dir)
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, given, _ := r.BasicAuth(); u != user || given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return TLS{srv.URL, ca}
}
