// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/publish/oci"
	"github.com/drogue-iot/ajour/pkg/publish/publishtest"
	"github.com/drogue-iot/ajour/test/servers"
)

// TestDebiansRegistry publishes to an implementation that has nothing in common with
// the embedded one, by a different client's view: with a login, attachments, and twice.
func TestDebiansRegistry(t *testing.T) {
	t.Parallel()
	host := servers.StartRegistry(t, servers.RegistryOptions{User: "ci", Password: "secret-password"}).Host
	o := options(t, host, "latest", firmware+strings.Repeat("x", 1<<20))
	_, err := oci.Push(t.Context(), o)
	if got, detail := publishtest.Reason(t, err); got != build.ReasonRegistryAuthFailed {
		t.Errorf("%s: %s", got, detail)
	}
	o.Credentials = dockerConfig(t, host, "ci", "secret-password")
	attach(t, &o, "firmware.elf", "symbols")
	var first oci.Result
	for i := range 2 {
		res, err := oci.Push(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 && res != first {
			t.Errorf("%+v, then %+v", first, res)
		}
		first = res
	}
	login := remote.WithAuth(&authn.Basic{Username: "ci", Password: "secret-password"})
	for _, tag := range []string{"latest", o.Version} {
		ref, err := parse(host + "/acme/greenhouse:" + tag)
		if err != nil {
			t.Fatal(err)
		}
		d, err := remote.Head(ref, login)
		if err != nil || d.Digest.String() != first.Digest {
			t.Errorf("%s is %v, want %s: %v", tag, d, first.Digest, err)
		}
	}
	// This one has no API for referrers: clients find them under a tag.
	ref, err := parse(host + "/acme/greenhouse:" + strings.Replace(first.Digest, ":", "-", 1))
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(ref, login)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := index.IndexManifest(); err != nil || len(m.Manifests) != 1 {
		t.Errorf("%+v %v", m, err)
	}
}
