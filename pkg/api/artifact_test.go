// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/build"
)

// artifacts has one firmware, and fails where it is asked to.
type artifacts struct {
	err      error
	seekable bool
}

type seekable struct{ *bytes.Reader }

func (seekable) Close() error { return nil }

func (a artifacts) Open(
	_ context.Context,
	application string,
	_ build.Artifact,
	attachment string,
) (build.File, error) {
	if a.err != nil {
		return build.File{}, a.err
	}
	text := application + " firmware " + attachment
	f := build.File{Name: attachment, Size: int64(len(text)), SHA256: "abc"}
	if f.ReadCloser = io.NopCloser(strings.NewReader(text)); a.seekable {
		f.ReadCloser = seekable{bytes.NewReader([]byte(text))}
	}
	return f, nil
}

func TestAFirmwareIsDownloaded(t *testing.T) {
	t.Parallel()
	gone := &build.StepError{Reason: build.ReasonArtifactNotFound, Message: "It is gone: build again"}
	for name, tt := range map[string]struct {
		artifacts   api.Artifacts
		query       string
		headers     []string
		status      int
		body        string
		disposition string
	}{
		"whole":                              {artifacts{}, "", nil, 200, "app firmware ", "attachment; filename=app-4f1c2ab.bin"},
		"whole, of a good registry":          {artifacts{seekable: true}, "", nil, 200, "app firmware ", "attachment; filename=app-4f1c2ab.bin"},
		"an attachment":                      {artifacts{}, "?attachment=out/app.elf", nil, 200, "app firmware out/app.elf", "attachment; filename=app.elf"},
		"an attachment without name":         {artifacts{}, "?attachment=", nil, 400, "is empty", ""},
		"a part":                             {artifacts{seekable: true}, "", []string{"Range", "bytes=4-11"}, 206, "firmware", "attachment; filename=app-4f1c2ab.bin"},
		"what the caller has already":        {artifacts{seekable: true}, "", []string{"If-None-Match", `"abc"`}, 304, "", "attachment; filename=app-4f1c2ab.bin"},
		"gone":                               {artifacts{err: gone}, "", nil, 410, "It is gone: build again", ""},
		"not to be read":                     {artifacts{err: build.ErrNoAccess}, "", nil, 501, `"command":"oras pull quay.io/acme/app:1"`, ""},
		"of an installation that reads none": {nil, "", nil, 501, "NoRegistryAccess", ""},
		"of a registry that is away":         {artifacts{err: errors.New("away")}, "", nil, 503, "Unavailable", ""},
	} {
		w := newWorld()
		w.artifacts, w.runs = tt.artifacts, manyRuns()
		w.runs[0].Artifact = &build.Artifact{Reference: "quay.io/acme/app:1", Digest: "sha256:1", Version: "4f1c2ab"}
		path := api.Prefixes[0] + "/builds/" + w.runs[0].ID + "/artifact" + tt.query
		res := w.call(t, "read", http.MethodGet, path, tt.headers...)
		text := body(t, res)
		if res.StatusCode != tt.status || !strings.Contains(text, strings.TrimSpace(tt.body)) ||
			res.Header.Get("Content-Disposition") != tt.disposition {
			t.Errorf("%s: %s %q %s", name, res.Status, res.Header.Get("Content-Disposition"), text)
		}
		if tt.status/100 == 2 &&
			(res.Header.Get("Etag") != `"abc"` || res.Header.Get("Content-Type") != "application/octet-stream") {
			t.Error(name, res.Header)
		}
		w.runs[0].Secret = true
		for token, want := range map[string]int{"read": 403, "write": tt.status} {
			if res := w.call(t, token, http.MethodGet, path, tt.headers...); res.StatusCode != want {
				t.Errorf("%s, with secret variables, %s: %s", name, token, res.Status)
			}
		}
		if res := w.call(
			t,
			"read",
			http.MethodGet,
			api.Prefixes[0]+"/builds/"+w.runs[2].ID+"/artifact",
		); res.StatusCode != 404 {
			t.Error(res.Status)
		}
	}
}
