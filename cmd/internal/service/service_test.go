// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"testing"

	"github.com/drogue-iot/ajour/cmd/internal/service"
)

func TestTokensAreNotSentUnencrypted(t *testing.T) {
	t.Parallel()
	for address, want := range map[string][2]bool{ // without ALLOW_HTTP, and with it
		"https://api.example.org":  {true, true},
		"http://api.example.org":   {false, true},
		"HTTPS://api.example.org":  {true, true},
		"api.example.org":          {false, false},
		"ftp://api.example.org":    {false, false},
		"https:///realms/drogue":   {false, false},
		"http://[::1":              {false, false},
		"https://api.example.org/": {true, true},
	} {
		for i, allow := range []bool{false, true} {
			if err := (service.Transport{AllowHTTP: allow}).CheckURL("REGISTRY_URL", address); (err == nil) != want[i] {
				t.Errorf("%s, ALLOW_HTTP=%t: %v", address, allow, err)
			}
		}
	}
}
