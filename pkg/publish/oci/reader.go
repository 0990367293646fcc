// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/internal/proxy"
)

// Reader opens what builds have published below one prefix, and nothing else: a reference comes from a
// step, and credentials must not be sent wherever it names.
type Reader struct {
	// Prefix is what the references begin with, as in "quay.io/acme/".
	Prefix string
	// PlainHTTP speaks HTTP to the registry instead of HTTPS.
	PlainHTTP bool
	// Credentials is a folder as that of [Options], which is read for each call: nothing is opened
	// while it is empty or not there. Everything can be read without any if it is not set.
	Credentials string
}

// Open opens the firmware of an artifact of an application, or the attachment of a name. It returns
// [build.ErrNoAccess] if it may not be read here; its other errors are those of [Open].
func (r Reader) Open(ctx context.Context, application string, a build.Artifact, attachment string) (build.File, error) {
	reference, ok := r.under(a)
	if !ok || r.Credentials != "" && !filled(r.Credentials) {
		return build.File{}, build.ErrNoAccess
	}
	f, err := Open(ctx, Options{
		Reference: reference, Application: application, PlainHTTP: r.PlainHTTP, Credentials: r.Credentials,
		Proxies: proxy.OfShell(), Log: io.Discard,
	}, attachment)
	var failed *build.StepError
	if errors.As(err, &failed) && failed.Reason == build.ReasonRegistryAuthFailed {
		return f, build.ErrNoAccess
	}
	return f, err
}

// under returns the reference of a manifest by its digest. It reports false for one that is not below
// the prefix.
func (r Reader) under(a build.Artifact) (reference string, ok bool) {
	rest, ok := strings.CutPrefix(a.Reference, r.Prefix)
	if !ok || r.Prefix == "" || a.Digest == "" {
		return "", false
	}
	name, _, _ := strings.Cut(rest, ":")
	return r.Prefix + name + "@" + a.Digest, true
}

// filled reports whether a folder has files. A Secret that is mounted has some of its own as well,
// whose names begin with two dots.
func filled(folder string) bool {
	entries, _ := os.ReadDir(folder) // one that is not there has none
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "..") {
			return true
		}
	}
	return false
}
