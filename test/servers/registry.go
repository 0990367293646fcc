// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// RegistryOptions say how to start a registry.
type RegistryOptions struct {
	// User with Password is let in; anybody if the password is empty.
	User, Password string
	// TLS has it speak HTTPS, with a certificate of its own; plain HTTP otherwise.
	TLS bool
}

// Registry is a running registry.
type Registry struct {
	// Host is its host and port.
	Host string
	// CA is the file with its certificate, "" for plain HTTP.
	CA string
}

// StartRegistry starts an OCI registry.
func StartRegistry(t testing.TB, o RegistryOptions) Registry {
	t.Helper()
	dir := t.TempDir()
	r := Registry{Host: fmt.Sprintf("127.0.0.1:%d", freePort(t))}
	listen, scheme, client := fmt.Sprintf("addr: %q", r.Host), "http", http.DefaultClient
	if o.TLS {
		writeCertificate(t, dir)
		r.CA = filepath.Join(dir, "cert.pem")
		listen += fmt.Sprintf(", tls: {certificate: %s, key: %s}", r.CA, filepath.Join(dir, "key.pem"))
		scheme, client = "https", trusting(t, r.CA)
	}
	config := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {%s}\n", filepath.Join(dir, "data"), listen)
	if o.Password != "" {
		hash, err := bcrypt.GenerateFromPassword([]byte(o.Password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		passwords := filepath.Join(dir, "htpasswd")
		if err := os.WriteFile(passwords, fmt.Appendf(nil, "%s:%s\n", o.User, hash), 0o600); err != nil {
			t.Fatal(err)
		}
		config += fmt.Sprintf("auth: {htpasswd: {realm: registry, path: %s}}\n", passwords)
	}
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, scheme+"://"+r.Host+"/v2/", client, "docker-registry", "serve", file)
	return r
}

// Client returns a client that trusts the certificate of the registry.
func (r Registry) Client(t testing.TB) *http.Client {
	t.Helper()
	return trusting(t, r.CA)
}
