// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"

	"github.com/drogue-iot/ajour/pkg/build"
)

// tag gives the firmware, all of which is there by now, its tags. That of the version
// never moves: what was once delivered under it stays what it is (OCI-4). Now says what
// the tags name by now.
func (p *push) tag(ctx context.Context, manifest blob, now map[string]tagged) error {
	asked := p.repo.Reference.Reference
	g, ctx := errgroup.WithContext(ctx)
	for tag, old := range now {
		switch {
		case old.digest == manifest.Digest:
			fmt.Fprintf(p.Log, "tag %s names this firmware already\n", tag)
		case old.digest == "" || tag == asked:
			g.Go(func() error { return p.pushManifest(ctx, manifest, tag) })
		case old.firmware == firmwareBlob(p.firmware, "").Digest: // by a manifest of an earlier make
			fmt.Fprintf(p.Log, "tag %s names these bytes already\n", tag)
		default:
			p.warning = fmt.Sprintf(
				"the tag %s names other bytes, %s, since an earlier build, and is left alone: to deliver it is to deliver those",
				tag, old.digest,
			)
			fmt.Fprintln(p.Log, p.warning)
		}
	}
	return g.Wait()
}

// tagged is what a tag names: a manifest, and the firmware that it holds. It is zero if there
// is no such tag.
type tagged struct{ digest, firmware digest.Digest }

// maxManifest bounds a manifest that somebody else may have pushed.
const maxManifest = 4 << 20

// named returns what a tag names, of which only the digest if that is the one that is known.
// It is an error if that is of a different application.
func (p *push) named(ctx context.Context, tag string, known digest.Digest) (now tagged, err error) {
	d, err := p.repo.Resolve(ctx, tag)
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		return tagged{}, nil
	case err != nil || d.Digest == known || d.Size > maxManifest:
		return tagged{digest: d.Digest}, err
	}
	data, err := content.FetchAll(ctx, p.repo.Manifests(), d)
	if errors.Is(err, errdef.ErrNotFound) { // it was deleted in between
		return tagged{}, nil
	}
	if err != nil {
		return tagged{}, fmt.Errorf("read what the tag %s names: %w", tag, err)
	}
	now.digest = d.Digest
	var m ocispec.Manifest
	_ = json.Unmarshal(data, &m) // not one of ours
	if owner := m.Annotations[AnnotationApplication]; owner != "" && p.Application != "" && owner != p.Application {
		return tagged{}, &build.StepError{Reason: build.ReasonRegistryPushFailed, Message: fmt.Sprintf(
			"the tag %s of %s names a firmware of a different application, and is left alone: publish to an image of your own",
			tag, p.repo.Reference.Repository,
		)}
	}
	if len(m.Layers) > 0 && m.Layers[0].MediaType == mediaTypeFirmware {
		now.firmware = m.Layers[0].Digest
	}
	return now, nil
}
