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
	// Token has it want a token of a token service, which lets in the user; HTTP's basic
	// authentication otherwise.
	Token bool
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
	dir, at := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	writeCertificate(t, dir)
	r, url, client, listen := Registry{Host: at}, "http://"+at+"/v2/", http.DefaultClient, fmt.Sprintf("addr: %q", at)
	if o.TLS {
		r.CA = filepath.Join(dir, "cert.pem")
	}
	var login string
	switch {
	case o.Token:
		r.Host, login = withTokens(t, dir, at, o)
	case o.Password != "":
		login = fmt.Sprintf("auth: {htpasswd: {realm: registry, path: %q}}\n", writePassword(t, dir, o))
	}
	if o.TLS && !o.Token {
		listen += fmt.Sprintf(", tls: {certificate: %q, key: %q}", r.CA, filepath.Join(dir, "key.pem"))
		url, client = "https://"+at+"/v2/", r.Client(t)
	}
	config := fmt.Sprintf(
		"version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {%s}\n%s",
		filepath.Join(dir, "data"), listen, login,
	)
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, url, client, "docker-registry", "serve", file)
	return r
}

// writePassword writes that of the user as htpasswd(1) does, and returns the file.
func writePassword(t testing.TB, dir string, o RegistryOptions) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(o.Password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "htpasswd")
	if err := os.WriteFile(file, fmt.Appendf(nil, "%s:%s\n", o.User, hash), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Client returns a client that trusts the certificate of the registry.
func (r Registry) Client(t testing.TB) *http.Client {
	t.Helper()
	return trusting(t, r.CA)
}
