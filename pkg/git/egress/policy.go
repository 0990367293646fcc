// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package egress decides which connections a fetch of source may make, and makes them:
// a [Policy] of schemes, hosts and addresses, and a [Proxy] on this machine that enforces it
// for git and git-lfs. It knows nothing of git.
package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/drogue-iot/ajour/pkg/internal/proxy"
)

// Policy says where source may come from. It holds for every connection that a
// fetch makes: to the repository, to what that redirects to, to its submodules and
// to LFS objects, but for one thing: git-lfs connects to loopback addresses by itself,
// whatever its proxy is. Its zero value allows nothing.
type Policy struct {
	// Schemes are those of "https", "ssh" and "http" that may be used.
	Schemes []string `json:"schemes"`
	// Hosts may be connected to, by name, or by "*.example.org" for all names below
	// that one; any if empty.
	Hosts []string `json:"hosts"`
	// Addresses are the ranges that hosts may resolve to, in CIDR notation. The word
	// "public" stands for all addresses of the public internet, "any" for all.
	Addresses []string `json:"addresses"`
	// Proxies are what connections go through. They resolve the names of hosts: Addresses bound
	// the connections that go through none.
	Proxies proxy.Settings `json:"proxies"`
}

// Values of Policy.Addresses.
const (
	addressesPublic = "public"
	addressesAny    = "any"
)

// Parse reads a policy from three lists that are separated by commas, and validates it.
func Parse(schemes, hosts, addresses string) (Policy, error) {
	p := Policy{Schemes: list(schemes), Hosts: list(hosts), Addresses: list(addresses)}
	return p, p.Validate()
}

func list(s string) (entries []string) {
	for entry := range strings.SplitSeq(s, ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			entries = append(entries, entry)
		}
	}
	return entries
}

// Validate returns an error for a policy that has no meaning.
func (p Policy) Validate() error {
	for _, s := range p.Schemes {
		if s != "https" && s != "ssh" && s != "http" {
			return fmt.Errorf("scheme %q is none of https, ssh and http", s)
		}
	}
	for _, h := range p.Hosts {
		if name := strings.TrimPrefix(h, "*."); name == "" || strings.ContainsAny(name, "*/: ") {
			return fmt.Errorf("host %q is neither a name nor *.NAME", h)
		}
	}
	for _, a := range p.Addresses {
		if _, err := netip.ParsePrefix(a); err != nil && a != addressesPublic && a != addressesAny {
			return fmt.Errorf("addresses %q are neither public, any, nor a range such as 10.0.0.0/8", a)
		}
	}
	return p.Proxies.Validate()
}

// DeniedError is a connection that the policy does not allow.
type DeniedError struct{ Message string }

// Error returns the message, a sentence for the user who asked for the connection.
func (e *DeniedError) Error() string { return e.Message }

// CheckURI checks the scheme and the host of a repository. The error is a [*DeniedError].
func (p Policy) CheckURI(uri string) error {
	scheme, host := "ssh", ""
	if u, err := url.Parse(uri); err == nil && u.Host != "" {
		scheme, host = u.Scheme, u.Hostname()
	} else if at, _, ok := strings.Cut(uri, ":"); ok { // user@host:path
		_, host, _ = strings.Cut(at, "@")
	}
	if err := p.CheckScheme(scheme); err != nil {
		return err
	}
	return p.checkHost(host)
}

// CheckScheme returns a [*DeniedError] for a scheme that the policy does not allow.
func (p Policy) CheckScheme(scheme string) error {
	if slices.Contains(p.Schemes, scheme) {
		return nil
	}
	return &DeniedError{
		fmt.Sprintf("this installation does not fetch by %s: use %s", scheme, strings.Join(p.Schemes, " or ")),
	}
}

func (p Policy) checkHost(host string) error {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if len(p.Hosts) == 0 && host != "" {
		return nil
	}
	for _, h := range p.Hosts {
		h = strings.ToLower(h)
		if below, ok := strings.CutPrefix(h, "*"); host == h || (ok && strings.HasSuffix(host, below)) {
			return nil
		}
	}
	return &DeniedError{fmt.Sprintf("this installation does not fetch from the host %q", host)}
}

// special are the ranges without a place on the public internet that the methods
// of netip.Addr do not know, or that hold an address of a different kind: from the
// registries of IANA for special-purpose addresses (RFC 6890), and what stacks have of older
// rules. 168.63.129.16 is public by its number, and inside of every virtual machine of Azure.
var special = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23",
	"2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "::/96", "::ffff:0:0:0/96", "fec0::/10", "168.63.129.16/32",
)

func prefixes(list ...string) (p []netip.Prefix) {
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() &&
		!slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Allows reports whether an address may be connected to.
func (p Policy) Allows(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(p.Addresses, func(s string) bool {
		switch s {
		case addressesAny:
			return true
		case addressesPublic:
			return public(a)
		default:
			r, err := netip.ParsePrefix(s)
			return err == nil && r.Contains(a)
		}
	})
}

// resolve returns the addresses of a host that may be connected to. The caller
// connects to these, and does not resolve them a second time: a name may point elsewhere
// the next time (DNS rebinding).
func (p Policy) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if err := p.checkHost(host); err != nil {
		return nil, err
	}
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	allowed := slices.DeleteFunc(all, func(a netip.Addr) bool { return !p.Allows(a) })
	if len(allowed) == 0 {
		return nil, &DeniedError{fmt.Sprintf("the host %q has no address that this installation fetches from", host)}
	}
	return allowed, nil
}

// Dial connects to a host that the policy allows.
func (p Policy) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	through, err := p.Proxies.For(&url.URL{Scheme: "https", Host: address})
	if err != nil {
		return nil, err
	}
	if through != nil {
		return p.dialThrough(ctx, through, host, address)
	}
	addresses, err := p.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: connectTimeout}
	var failures []error
	for _, a := range addresses {
		conn, err := d.DialContext(ctx, network, net.JoinHostPort(a.Unmap().String(), port))
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}
