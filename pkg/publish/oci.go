// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/drogue-iot/ajour/pkg/build"
)

// mediaTypeFirmware is what the update server looks for: it delivers the first
// layer of this type (contract 6.1).
const mediaTypeFirmware = "application/octet-stream"

// imageConfig is a small valid image configuration; some registries reject
// others (OCI-5).
const imageConfig = `{"architecture":"arm","os":"none","rootfs":{"type":"layers","diff_ids":[]}}`

// Options say what to publish, and where to.
type Options struct {
	// Reference is the full reference with a tag: prefix and image (OCI-2).
	Reference string
	// Root is the folder that the build started in, Artifact the path of the
	// firmware below it.
	Root, Artifact string
	// Version is the REVISION that the builder was given. It becomes an
	// immutable tag beside that of Reference (OCI-4).
	Version string
	// PlainHTTP speaks HTTP to the registry instead of HTTPS.
	PlainHTTP bool
	// Log receives a line per step.
	Log io.Writer
}

// Result is what was published.
type Result struct {
	// Reference is that of the options.
	Reference string
	// Digest is that of the manifest.
	Digest string
	// Size and SHA256 are those of the firmware itself.
	Size   int64
	SHA256 string
}

// OCI pushes the firmware as an OCI image manifest in the layout of contract
// 6.4 (OCI-1 to OCI-5). Pushing the same firmware again changes nothing. The
// tags are moved last, when all of it is there.
//
// Its errors are [*build.StepError] with one of the reasons ArtifactNotFound,
// ArtifactInvalid, RegistryAuthFailed or RegistryPushFailed.
func OCI(ctx context.Context, o Options) (Result, error) {
	a, err := openArtifact(o.Root, o.Artifact)
	if err != nil {
		return Result{}, err
	}
	defer a.file.Close()
	repo, err := o.repository()
	if err != nil {
		return Result{}, o.explain(err)
	}
	digest, err := o.push(ctx, repo, a)
	if err != nil {
		return Result{}, o.explain(err)
	}
	return Result{Reference: o.Reference, Digest: digest, Size: a.size, SHA256: a.sha256}, nil
}

// repository opens the repository with the credentials of the docker
// configuration. They are sent to their own registry only.
func (o Options) repository() (*remote.Repository, error) {
	repo, err := remote.NewRepository(o.Reference)
	if err != nil {
		return nil, fmt.Errorf("read reference: %w", err)
	}
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("read registry credentials: %w", err)
	}
	repo.PlainHTTP = o.PlainHTTP
	repo.Client = &auth.Client{Client: retry.DefaultClient, Cache: auth.NewCache(), Credential: credentials.Credential(store)}
	return repo, nil
}

func (o Options) push(ctx context.Context, repo *remote.Repository, a *artifact) (string, error) {
	metadata, err := json.Marshal(struct {
		Version  string `json:"version"`
		Size     int64  `json:"size"`
		Checksum string `json:"checksum"`
	}{o.Version, a.size, a.sha256})
	if err != nil {
		return "", fmt.Errorf("write firmware.json: %w", err)
	}
	config := content.NewDescriptorFromBytes(ocispec.MediaTypeImageConfig, []byte(imageConfig))
	firmware := ocispec.Descriptor{
		MediaType: mediaTypeFirmware, Digest: digest.NewDigestFromEncoded(digest.SHA256, a.sha256), Size: a.size,
		Annotations: map[string]string{ocispec.AnnotationTitle: "firmware.bin"},
	}
	description := content.NewDescriptorFromBytes("application/json", metadata)
	description.Annotations = map[string]string{ocispec.AnnotationTitle: "firmware.json"}
	for _, blob := range []struct {
		ocispec.Descriptor
		reader func() io.Reader
	}{
		{config, func() io.Reader { return strings.NewReader(imageConfig) }},
		{firmware, a.reader},
		{description, func() io.Reader { return bytes.NewReader(metadata) }},
	} {
		if err := o.pushBlob(ctx, repo, blob.Descriptor, blob.reader()); err != nil {
			return "", err
		}
	}
	manifest, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: []ocispec.Descriptor{firmware, description},
		Annotations: map[string]string{ocispec.AnnotationRevision: o.Version},
	})
	if err != nil {
		return "", fmt.Errorf("write manifest: %w", err)
	}
	return o.pushManifest(ctx, repo, manifest)
}

// pushBlob uploads a blob that the registry does not have yet.
func (o Options) pushBlob(ctx context.Context, repo *remote.Repository, d ocispec.Descriptor, r io.Reader) error {
	exists, err := repo.Blobs().Exists(ctx, d)
	if err != nil || exists {
		return err
	}
	fmt.Fprintf(o.Log, "pushing %s (%d bytes)\n", d.Digest, d.Size)
	return repo.Blobs().Push(ctx, d, r)
}

// pushManifest pushes the manifest under its tags. The tag of the version never
// moves: what was once delivered under it stays what it is.
func (o Options) pushManifest(ctx context.Context, repo *remote.Repository, manifest []byte) (string, error) {
	d := content.NewDescriptorFromBytes(ocispec.MediaTypeImageManifest, manifest)
	ref, err := registry.ParseReference(o.Reference)
	if err != nil {
		return "", fmt.Errorf("read reference: %w", err)
	}
	if o.Version != ref.Reference {
		switch old, err := repo.Resolve(ctx, o.Version); {
		case errors.Is(err, errdef.ErrNotFound):
			if err := repo.Manifests().PushReference(ctx, d, bytes.NewReader(manifest), o.Version); err != nil {
				return "", err
			}
		case err != nil:
			return "", err
		case old.Digest != d.Digest:
			fmt.Fprintf(o.Log, "tag %s already names other bytes, %s, and is left alone\n", o.Version, old.Digest)
		}
	}
	if err := repo.Manifests().PushReference(ctx, d, bytes.NewReader(manifest), ref.Reference); err != nil {
		return "", err
	}
	fmt.Fprintf(o.Log, "pushed %s@%s\n", o.Reference, d.Digest)
	return d.Digest.String(), nil
}

// explain tells a refusal from other failures, in the registry's own words.
func (o Options) explain(err error) error {
	var step *build.StepError
	if errors.As(err, &step) {
		return err
	}
	reason, words := build.ReasonRegistryPushFailed, err.Error()
	var response *errcode.ErrorResponse
	if errors.As(err, &response) {
		if response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden {
			reason = build.ReasonRegistryAuthFailed
		}
		if len(response.Errors) > 0 {
			words = response.Errors[0].Message
		}
	}
	if errors.Is(err, auth.ErrBasicCredentialNotFound) {
		reason, words = build.ReasonRegistryAuthFailed, "no credentials are configured for it"
	}
	return &build.StepError{
		Reason: reason, Message: build.Clean("Failed pushing artifact to registry: " + words), Err: fmt.Errorf("push %s: %w", o.Reference, err),
	}
}
