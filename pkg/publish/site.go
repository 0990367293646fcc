// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"fmt"
	"net/http"

	"golang.org/x/net/publicsuffix"
)

// ownSite keeps the credentials of a registry at its site: it names its token service
// itself, and one that somebody broke into could name any. That of a real one is below
// the same domain: registry.gitlab.com has gitlab.com, registry-1.docker.io has
// auth.docker.io.
type ownSite struct {
	http.RoundTripper
	registry string // a host name or an address
}

// RoundTrip implements http.RoundTripper. A POST may have credentials in its body.
func (o ownSite) RoundTrip(req *http.Request) (*http.Response, error) {
	host := req.URL.Hostname()
	if (req.Header.Get("Authorization") != "" || req.Method == http.MethodPost) && site(host) != site(o.registry) {
		return nil, &withheldError{host, o.registry}
	}
	return o.RoundTripper.RoundTrip(req)
}

// site is the domain that somebody has registered, the host itself if it is no name
// below such a one.
func site(host string) string {
	if domain, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return domain
	}
	return host
}

// withheldError says that a request was not sent.
type withheldError struct{ host, registry string }

func (e *withheldError) Error() string {
	return fmt.Sprintf("%s wants the credentials sent to %s, which is at another site: they were withheld", e.registry, e.host)
}
