// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drogue-iot/ajour/pkg/local/oci"
)

func TestArtifactsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var current http.Handler
	open := func() {
		t.Helper()
		r, err := oci.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		current = r
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { current.ServeHTTP(w, r) }))
	defer srv.Close()
	repo := strings.TrimPrefix(srv.URL, "http://") + "/acme/fw"
	ref := func(s string) name.Reference {
		t.Helper()
		r, err := name.ParseReference(repo+s, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	open()
	var digests []v1.Hash
	for range 2 { // the tag moves from the first image to the second
		img, err := random.Image(1024, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref(":latest"), img); err != nil {
			t.Fatal(err)
		}
		digest, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest)
	}
	open()
	latest, err := remote.Get(ref(":latest"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(digests[1], latest.Digest); diff != "" {
		t.Error(diff)
	}
	for _, d := range digests {
		img, err := remote.Image(ref("@" + d.String()))
		if err != nil {
			t.Fatal(err)
		}
		if layers, err := img.Layers(); err != nil || len(layers) != 1 {
			t.Error(layers, err)
		}
	}
}
