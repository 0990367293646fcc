// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"fmt"
	"net/http"

	"golang.org/x/net/publicsuffix"
)

// ownDomain keeps the credentials of a registry within its domain: it names its token service
// itself, and one that somebody broke into could name any. That of most is below the same
// domain: registry.gitlab.com has gitlab.com, registry-1.docker.io has auth.docker.io. Of
// others the installation has to know the host, by an entry in its docker configuration.
type ownDomain struct {
	http.RoundTripper
	registry string // a host name or an address
	known    map[string]bool
}

// RoundTrip implements http.RoundTripper. A POST may have credentials in its body.
func (o ownDomain) RoundTrip(req *http.Request) (*http.Response, error) {
	host := req.URL.Hostname()
	private := req.Header.Get("Authorization") != "" || req.Method == http.MethodPost
	if private && domainOf(host) != domainOf(o.registry) && !o.known[req.URL.Host] {
		return nil, &withheldError{req.URL.Host, o.registry}
	}
	return o.RoundTripper.RoundTrip(req)
}

// domainOf returns the domain that somebody has registered, the host itself if it is no name
// below such a one. In a cluster that is shared by all.
func domainOf(host string) string {
	if domain, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil && domain != "cluster.local" {
		return domain
	}
	return host
}

// withheldError says that a request was not sent.
type withheldError struct{ host, registry string }

func (e *withheldError) Error() string {
	return fmt.Sprintf(
		"%s wants the credentials sent to %s, which is in another domain: they were withheld. "+
			"If that is right, add %s to the auths of the Secret container-registry",
		e.registry,
		e.host,
		e.host,
	)
}
