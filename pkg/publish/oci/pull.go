// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/publish/artifact"
)

// PullOptions say what to pull, and where to.
type PullOptions struct {
	// Registry has the reference with a digest, and how its registry is called.
	Registry Options
	// Output is the file that the firmware is written to.
	Output string
}

// Pull reads a firmware that [Push] has pushed, and checks it against the digest. Its
// errors are [*build.StepError] with one of the reasons ArtifactNotFound,
// RegistryAuthFailed or RegistryPushFailed.
func Pull(ctx context.Context, o PullOptions) error {
	err := o.pull(ctx)
	switch {
	case err == nil:
		fmt.Fprintf(o.Registry.Log, "pulled %s\n", o.Registry.Reference)
		return nil
	case errors.Is(err, errdef.ErrNotFound):
		return &build.StepError{
			Reason: build.ReasonArtifactNotFound,
			Message: build.Clean(
				fmt.Sprintf("The artifact %s is not in the registry any more: build again", o.Registry.Reference),
			),
			Err: err,
		}
	default:
		return explain(pullFailed, o.Registry.Reference, err)
	}
}

func (o PullOptions) pull(ctx context.Context) error {
	repo, err := o.Registry.repository()
	if err != nil {
		return err
	}
	d, err := repo.Resolve(ctx, repo.Reference.Reference)
	if err != nil {
		return err
	}
	data, err := content.FetchAll(ctx, repo, d)
	if err != nil {
		return err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(data, &manifest); err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	for _, layer := range manifest.Layers {
		if layer.MediaType == mediaTypeFirmware && layer.Size <= artifact.MaxSize {
			return retryUpload(ctx, o.Registry.Log, func() error { return o.write(ctx, repo, layer) })
		}
	}
	return errors.New("the artifact holds no firmware")
}

func (o PullOptions) write(ctx context.Context, from content.Fetcher, layer ocispec.Descriptor) error {
	r, err := from.Fetch(ctx, layer)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := os.MkdirAll(filepath.Dir(o.Output), 0o750); err != nil {
		return fmt.Errorf("write firmware: %w", err)
	}
	file, err := os.OpenFile(o.Output, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write firmware: %w", err)
	}
	verified := content.NewVerifyReader(body{r, o.Registry.Reference}, layer)
	_, err = io.Copy(file, verified)
	if err == nil {
		err = verified.Verify()
	}
	return errors.Join(err, file.Close())
}

// body is that of an answer. What breaks it is distinguished from what keeps the firmware from
// being written: it may pass.
type body struct {
	io.Reader
	url string
}

func (b body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &url.Error{Op: http.MethodGet, URL: b.url, Err: err}
	}
	return n, err
}
