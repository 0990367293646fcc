// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/publish/oci"
	"github.com/drogue-iot/ajour/pkg/publish/publishtest"
)

// cutAnswer sends a little of a blob, and ends the connection.
func cutAnswer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", strconv.Itoa(len(firmware)))
	_, _ = io.WriteString(w, firmware[:3])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func TestWhatWasPushedIsPulled(t *testing.T) {
	t.Parallel()
	blob := func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/")
	}
	for name, tt := range map[string]struct {
		wrap   func(http.Handler) http.Handler
		change string // of the digest
		reason build.Reason
	}{
		"at once":                      {},
		"after an answer that is cut":  {wrap: publishtest.Faulty(1, blob, cutAnswer)},
		"after an error of the server": {wrap: publishtest.Faulty(1, blob, publishtest.Status(http.StatusBadGateway))},
		"not from answers that are all cut": {
			wrap:   publishtest.Faulty(1<<30, blob, cutAnswer),
			reason: build.ReasonRegistryPushFailed,
		},
		"not if it is gone": {change: "0", reason: build.ReasonArtifactNotFound},
		"not from a registry that refuses it": {
			wrap:   publishtest.Faulty(1<<30, blob, publishtest.Status(http.StatusForbidden)),
			reason: build.ReasonRegistryAuthFailed,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t, serve(t, tt.wrap), "latest", firmware)
			r, err := oci.Push(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			digest := r.Digest
			if tt.change != "" {
				digest = "sha256:" + strings.Repeat(tt.change, 64)
			}
			o.Reference = strings.TrimSuffix(o.Reference, ":latest") + "@" + digest
			file := filepath.Join(t.TempDir(), "pulled")
			got, detail := publishtest.Reason(t, oci.Pull(t.Context(), oci.PullOptions{Registry: o, Output: file}))
			if got != tt.reason {
				t.Errorf("%s: %s", got, detail)
			}
			if data, err := os.ReadFile(file); tt.reason == "" && (err != nil || string(data) != firmware) {
				t.Errorf("%q %v", data, err)
			}
		})
	}
}
