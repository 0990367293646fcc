// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package oci is an OCI registry in one process whose artifacts outlive it, for
// the embedded mode. It has no access control.
package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
)

// maxManifest is what the distribution specification asks of a registry.
const maxManifest = 4 << 20

// Registry is an http.Handler for all paths below /v2/.
type Registry struct {
	inner http.Handler
	dir   string
}

// manifest is a stored request that put a manifest.
type manifest struct {
	Path        string `json:"path"`
	ContentType string `json:"contentType"`
	Body        []byte `json:"body"`
}

// Open opens the registry whose state is in the folder. The library that it is
// made of keeps blobs on disk, but manifests only in memory: those are stored
// here, and uploaded anew.
func Open(dir string) (*Registry, error) {
	blobs := filepath.Join(dir, "blobs")
	r := &Registry{dir: filepath.Join(dir, "manifests")}
	if err := errors.Join(os.MkdirAll(blobs, 0o700), os.MkdirAll(r.dir, 0o700)); err != nil {
		return nil, fmt.Errorf("make folders of registry: %w", err)
	}
	r.inner = registry.New(
		registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true),
		registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs)),
	)
	files, err := filepath.Glob(filepath.Join(r.dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("find manifests: %w", err)
	}
	// An index is taken only after the manifests that it names, so those that
	// fail are put once more as long as any other one succeeds. What then is
	// left names something that is gone, and is left alone.
	for before := -1; len(files) != before; {
		before = len(files)
		files = slices.DeleteFunc(files, func(f string) bool { return r.restore(f) == nil })
	}
	return r, nil
}

func (r *Registry) restore(file string) error {
	data, err := os.ReadFile(file) //nolint:gosec // found in our own folder
	if err != nil {
		return err
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	return r.put(m).err()
}

// ServeHTTP implements http.Handler.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPut || !strings.Contains(req.URL.Path, "/manifests/") {
		r.inner.ServeHTTP(w, req)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxManifest))
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	m := manifest{Path: req.URL.Path, ContentType: req.Header.Get("Content-Type"), Body: body}
	res := r.put(m)
	if res.err() == nil {
		// The digest has to be found even after the tag has moved on.
		byDigest := m
		byDigest.Path = m.Path[:strings.LastIndex(m.Path, "/")+1] + digest.FromBytes(body).String()
		if err := errors.Join(r.save(byDigest), r.save(m)); err != nil {
			http.Error(w, "manifest cannot be stored", http.StatusInsufficientStorage)
			return
		}
	}
	for key, values := range res.header {
		w.Header()[key] = values
	}
	w.WriteHeader(res.status)
	_, _ = w.Write(res.body.Bytes())
}

// put gives a manifest to the library and returns its answer.
func (r *Registry) put(m manifest) *answer {
	res := &answer{header: http.Header{}, status: http.StatusOK}
	req, err := http.NewRequest(http.MethodPut, m.Path, bytes.NewReader(m.Body)) //nolint:noctx // answered from memory
	if err != nil {
		res.status = http.StatusBadRequest
		return res
	}
	req.Header.Set("Content-Type", m.ContentType)
	r.inner.ServeHTTP(res, req)
	return res
}

// save writes a manifest such that it is there as a whole or not at all.
func (r *Registry) save(m manifest) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(r.dir, "tmp-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), filepath.Join(r.dir, digest.FromString(m.Path).Encoded()+".json"))
}

// answer records what a handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

func (a *answer) err() error {
	if a.status/100 == 2 {
		return nil
	}
	return fmt.Errorf("status %d: %s", a.status, a.body.String())
}
