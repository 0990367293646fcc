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

// Registry starts an OCI registry that speaks plain HTTP and lets in the user with the
// password, anybody if that is empty. It returns its host and port.
func Registry(t testing.TB, user, password string) string {
	t.Helper()
	dir, host := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	config := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", filepath.Join(dir, "data"), host)
	if password != "" {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		passwords := filepath.Join(dir, "htpasswd")
		if err := os.WriteFile(passwords, fmt.Appendf(nil, "%s:%s\n", user, hash), 0o600); err != nil {
			t.Fatal(err)
		}
		config += fmt.Sprintf("auth: {htpasswd: {realm: registry, path: %s}}\n", passwords)
	}
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, "http://"+host+"/v2/", http.DefaultClient, "docker-registry", "serve", file)
	return host
}
