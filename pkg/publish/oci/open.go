// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/drogue-iot/ajour/pkg/build"
)

const openFailed = "Failed reading artifact from registry"

// Open opens a file that [Push] has pushed: the firmware, or the attachment of that name. The options
// have the reference with a digest, and the application whose firmware it has to be. What is returned
// is an io.Seeker, too, if the registry answers ranges.
//
// Its errors are those of [Pull].
func Open(ctx context.Context, o Options, attachment string) (build.File, error) {
	f, err := o.open(ctx, attachment)
	switch {
	case err == nil:
		return f, nil
	case errors.Is(err, errdef.ErrNotFound):
		return f, &build.StepError{
			Reason:  build.ReasonArtifactNotFound,
			Message: build.Clean("The artifact " + o.Reference + " is not in the registry any more: build again"), Err: err,
		}
	default:
		return f, explain(openFailed, o.Reference, err)
	}
}

func (o Options) open(ctx context.Context, attachment string) (f build.File, err error) {
	repo, err := o.repository()
	if err != nil {
		return f, err
	}
	d, err := repo.Resolve(ctx, repo.Reference.Reference)
	if err != nil {
		return f, err
	}
	manifest, err := manifestOf(ctx, repo, d)
	if err != nil {
		return f, err
	}
	if owner := manifest.Annotations[AnnotationApplication]; owner != "" && o.Application != "" && owner != o.Application {
		return f, fmt.Errorf("the artifact is that of a different application: %w", errdef.ErrNotFound)
	}
	if attachment != "" {
		return o.openAttachment(ctx, repo, d, attachment)
	}
	for _, layer := range manifest.Layers {
		if layer.MediaType == mediaTypeFirmware {
			return fileOf(ctx, repo, layer)
		}
	}
	return f, fmt.Errorf("the artifact holds no firmware: %w", errdef.ErrNotFound)
}

// openAttachment looks for a file in what refers to a firmware.
func (o Options) openAttachment(
	ctx context.Context, repo *remote.Repository, subject ocispec.Descriptor, name string,
) (f build.File, err error) {
	var layer *ocispec.Descriptor
	err = repo.Referrers(ctx, subject, ArtifactTypeFiles, func(referrers []ocispec.Descriptor) error {
		for _, d := range referrers {
			manifest, err := manifestOf(ctx, repo, d)
			if err != nil {
				return err
			}
			for _, l := range manifest.Layers {
				if l.Annotations[ocispec.AnnotationTitle] == name {
					layer = &l
				}
			}
		}
		return nil
	})
	if err != nil {
		return f, err
	}
	if layer == nil {
		return f, fmt.Errorf("there is no attachment of that name: %w", errdef.ErrNotFound)
	}
	return fileOf(ctx, repo, *layer)
}

func manifestOf(ctx context.Context, from content.Fetcher, d ocispec.Descriptor) (m ocispec.Manifest, err error) {
	data, err := content.FetchAll(ctx, from, d)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("read manifest: %w", err)
	}
	return m, nil
}

func fileOf(ctx context.Context, repo *remote.Repository, layer ocispec.Descriptor) (build.File, error) {
	r, err := repo.Blobs().Fetch(ctx, layer)
	if err != nil {
		return build.File{}, err
	}
	return build.File{
		ReadCloser: r, Name: layer.Annotations[ocispec.AnnotationTitle], Size: layer.Size, SHA256: layer.Digest.Encoded(),
	}, nil
}
