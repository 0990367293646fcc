// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/drogue-iot/ajour/cmd/internal/service"
)

// TestATokenThatWasReplacedCountsFromTheNextCallOn: a Secret that is mounted changes in place.
func TestATokenThatWasReplacedCountsFromTheNextCallOn(t *testing.T) {
	t.Parallel()
	c := service.Credentials{Folder: t.TempDir()}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(c.Folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Auth()(http.Header{}); err == nil {
		t.Error("an empty folder authenticates")
	}
	write("user", "ajour\n")
	write("token", " \n")
	if user, err := c.User(); err == nil {
		t.Errorf("an empty token is that of %s", user)
	}
	auth := c.Auth()
	for _, token := range []string{"first", "second"} {
		write("token", token+"\n")
		h := http.Header{}
		if err := auth(h); err != nil {
			t.Fatal(err)
		}
		user, got, ok := (&http.Request{Header: h}).BasicAuth()
		if !ok || user != "ajour" || got != token {
			t.Errorf("%s:%s", user, got)
		}
	}
}
