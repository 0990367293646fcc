// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/publish/oci"
	"github.com/drogue-iot/ajour/pkg/publish/publishtest"
)

// TestAReaderReadsWhatWasPushed, below its prefix alone, and of the application alone.
func TestAReaderReadsWhatWasPushed(t *testing.T) {
	t.Parallel()
	registry := serve(t, nil)
	o := options(t, registry, "latest", firmware)
	o.Application = "a"
	pushed, err := oci.Push(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	prefix, _, _ := strings.Cut(o.Reference, "/")
	prefix += "/"
	empty, full := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "token"), []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	of := build.Artifact{Reference: pushed.Reference, Digest: pushed.Digest}
	for name, tt := range map[string]struct {
		reader      oci.Reader
		application string
		artifact    build.Artifact
		attachment  string
		gone        bool
		noAccess    bool
	}{
		"without credentials":            {reader: oci.Reader{Prefix: prefix}, application: "a", artifact: of},
		"with credentials":               {reader: oci.Reader{Prefix: prefix, Credentials: full}, application: "a", artifact: of},
		"not while there are none":       {reader: oci.Reader{Prefix: prefix, Credentials: empty}, application: "a", artifact: of, noAccess: true},
		"not below a different prefix":   {reader: oci.Reader{Prefix: "quay.io/acme/"}, application: "a", artifact: of, noAccess: true},
		"not without a prefix":           {reader: oci.Reader{}, application: "a", artifact: of, noAccess: true},
		"not of a different application": {reader: oci.Reader{Prefix: prefix}, application: "b", artifact: of, gone: true},
		"not what is gone": {
			reader: oci.Reader{Prefix: prefix}, application: "a", gone: true,
			artifact: build.Artifact{Reference: pushed.Reference, Digest: "sha256:" + strings.Repeat("0", 64)},
		},
		"not an attachment that is not there": {reader: oci.Reader{Prefix: prefix}, application: "a", artifact: of, attachment: "x", gone: true},
	} {
		tt.reader.PlainHTTP = o.PlainHTTP
		f, err := tt.reader.Open(t.Context(), tt.application, tt.artifact, tt.attachment)
		var failed *build.StepError
		switch {
		case tt.noAccess:
			if !errors.Is(err, build.ErrNoAccess) {
				t.Error(name, err)
			}
			continue
		case tt.gone:
			if !errors.As(err, &failed) || failed.Reason != build.ReasonArtifactNotFound {
				t.Error(name, err)
			}
			continue
		case err != nil:
			t.Error(name, err)
			continue
		}
		text, err := io.ReadAll(f)
		if err != nil || string(text) != firmware || f.Size != int64(len(firmware)) || f.SHA256 != pushed.SHA256 {
			t.Errorf("%s: %v %q %+v", name, err, text, f)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestARegistryThatRefusesIsNoFailure of the service: it is to say how a person reads the firmware.
func TestARegistryThatRefusesIsNoFailure(t *testing.T) {
	t.Parallel()
	registry := serve(t, publishtest.Faulty(1<<30, func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/")
	}, publishtest.Status(http.StatusForbidden)))
	o := options(t, registry, "latest", firmware)
	pushed, err := oci.Push(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	prefix, _, _ := strings.Cut(o.Reference, "/")
	_, err = oci.Reader{Prefix: prefix + "/", PlainHTTP: o.PlainHTTP}.Open(
		t.Context(), "", build.Artifact{Reference: pushed.Reference, Digest: pushed.Digest}, "",
	)
	if !errors.Is(err, build.ErrNoAccess) {
		t.Error(err)
	}
}
