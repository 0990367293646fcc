// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/drogue-iot/ajour/pkg/publish/artifact"
)

// mediaTypeFirmware is what the update server looks for: it delivers the first
// layer of this type (contract 6.1).
const mediaTypeFirmware = "application/octet-stream"

// ArtifactTypeFiles is the type of the manifest that refers to a firmware and holds
// further files of its build.
const ArtifactTypeFiles = "application/vnd.drogue.ajour.build-files.v1"

// AnnotationApplication names the application that a manifest was published for.
const AnnotationApplication = "io.drogue.ajour.application"

// imageConfig is a small valid image configuration; some registries reject
// others (OCI-5).
const imageConfig = `{"architecture":"arm","os":"none","rootfs":{"type":"layers","diff_ids":[]}}`

// blob is one that a manifest names.
type blob struct {
	ocispec.Descriptor
	reader func() io.Reader
}

func blobOf(mediaType, title string, data []byte) blob {
	b := blob{content.NewDescriptorFromBytes(mediaType, data), func() io.Reader { return bytes.NewReader(data) }}
	if title != "" {
		b.Annotations = map[string]string{ocispec.AnnotationTitle: title}
	}
	return b
}

func firmwareBlob(a *artifact.File, title string) blob {
	return blob{ocispec.Descriptor{
		MediaType: mediaTypeFirmware, Digest: digest.NewDigestFromEncoded(digest.SHA256, a.SHA256), Size: a.Size,
		Annotations: map[string]string{ocispec.AnnotationTitle: title},
	}, a.Reader}
}

// image returns the manifest of the firmware, and the blobs that it names.
func (p *push) image() (blob, []blob, error) {
	metadata, err := json.Marshal(struct {
		Version  string `json:"version"`
		Size     int64  `json:"size"`
		Checksum string `json:"checksum"`
	}{p.Version, p.firmware.Size, p.firmware.SHA256})
	if err != nil {
		return blob{}, nil, fmt.Errorf("write firmware.json: %w", err)
	}
	config := blobOf(ocispec.MediaTypeImageConfig, "", []byte(imageConfig))
	firmware, description := firmwareBlob(
		p.firmware,
		"firmware.bin",
	), blobOf("application/json", "firmware.json", metadata)
	annotations := map[string]string{ocispec.AnnotationRevision: p.Version}
	if p.Application != "" {
		annotations[AnnotationApplication] = p.Application
	}
	manifest, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config.Descriptor, Layers: []ocispec.Descriptor{firmware.Descriptor, description.Descriptor},
		Annotations: annotations,
	})
	if err != nil {
		return blob{}, nil, fmt.Errorf("write manifest: %w", err)
	}
	return blobOf(ocispec.MediaTypeImageManifest, "", manifest), []blob{config, firmware, description}, nil
}

// files returns the manifest of the attachments, which refers to that of the
// firmware (OCI distribution specification 1.1, referrers).
func (p *push) files(subject blob) (blob, []blob, error) {
	config := blobOf(ocispec.MediaTypeEmptyJSON, "", []byte("{}"))
	blobs, layers := []blob{config}, []ocispec.Descriptor{}
	for _, a := range p.attachments {
		b := firmwareBlob(a, a.Path)
		blobs, layers = append(blobs, b), append(layers, b.Descriptor)
	}
	manifest, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{
			SchemaVersion: 2,
		},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: ArtifactTypeFiles,
		Config:       config.Descriptor,
		Layers:       layers,
		Subject:      &subject.Descriptor,
	})
	if err != nil {
		return blob{}, nil, fmt.Errorf("write manifest of attachments: %w", err)
	}
	return blobOf(ocispec.MediaTypeImageManifest, "", manifest), blobs, nil
}
