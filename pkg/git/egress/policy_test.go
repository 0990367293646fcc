// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package egress_test

import (
	"net/netip"
	"testing"

	"github.com/drogue-iot/ajour/pkg/git/egress"
)

func TestOnlyThePublicInternetIsPublic(t *testing.T) {
	t.Parallel()
	p := egress.Policy{Addresses: []string{"public", "10.1.0.0/16"}}
	for address, want := range map[string]bool{
		"140.82.121.3": true, "2606:50c0:8000::153": true, "10.1.2.3": true, "::ffff:140.82.121.3": true,
		"10.2.0.1": false, "127.0.0.1": false, "::1": false, "::ffff:127.0.0.1": false, "0.0.0.0": false, "::": false,
		"169.254.169.254": false, "::ffff:169.254.169.254": false, "fe80::1": false, "fd00:ec2::254": false, "172.16.0.1": false, "192.168.1.1": false,
		"100.64.0.1": false, "198.18.0.1": false, "224.0.0.1": false, "255.255.255.255": false, "64:ff9b::a9fe:a9fe": false, "2002:7f00:1::": false,
		"::169.254.169.254": false, "::ffff:0:169.254.169.254": false, "fec0::1": false, "3fff::1": false, "168.63.129.16": false,
		"::ffff:168.63.129.16": false, "168.63.129.17": true,
	} {
		if got := p.Allows(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
}

func TestAPolicyThatMeansNothingIsRefused(t *testing.T) {
	t.Parallel()
	if err := (egress.Policy{Schemes: []string{"https"}, Hosts: []string{"*.example.org", "git.example.org"}, Addresses: []string{"any", "fd00::/8"}}).Validate(); err != nil {
		t.Error(err)
	}
	for _, p := range []egress.Policy{{Schemes: []string{"file"}}, {Hosts: []string{"*"}}, {Hosts: []string{"https://x"}}, {Addresses: []string{"10.0.0.1"}}} {
		if p.Validate() == nil {
			t.Errorf("%+v is taken", p)
		}
	}
}
