// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/drogue-iot/ajour/pkg/internal/proxy"
	"github.com/drogue-iot/ajour/pkg/publish/artifact"
)

// Options say what to publish, and where to.
type Options struct {
	artifact.Firmware
	// Reference is the full reference with a tag: prefix and image (OCI-2).
	Reference string
	// Application is whose firmware it is. It is written into the manifest, and a tag that
	// names the firmware of a different application is not moved. Nothing is written, and no
	// tag is protected, if it is empty.
	Application string
	// Attachments are the paths of further files, such as one with symbols.
	Attachments []string
	// PlainHTTP speaks HTTP to the registry instead of HTTPS.
	PlainHTTP bool
	// Credentials is a folder with a docker configuration "config.json", or with the
	// files "token" and, if there is one, "user". None are used if it is empty.
	Credentials string
	// TrustedCA is a file of CA certificates to trust besides those of the system.
	TrustedCA string
	// Proxies are what connections go through.
	Proxies proxy.Settings
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
	// Warning is what whoever delivers the firmware should know; empty for nothing.
	Warning string
}

// Push pushes the firmware as an OCI image manifest in the layout of contract
// 6.4 (OCI-1 to OCI-5), with its attachments as a referrer of that. What the
// registry has already is not pushed anew. The tags are moved last, when all of it
// is there, and what is there is read back.
//
// Its errors are [*build.StepError] with one of the reasons ArtifactNotFound,
// ArtifactInvalid, RegistryAuthFailed or RegistryPushFailed.
func Push(ctx context.Context, o Options) (Result, error) {
	p := &push{Options: o}
	defer p.close()
	if err := p.open(); err != nil {
		return Result{}, err
	}
	var err error
	if p.repo, err = o.repository(); err != nil {
		return Result{}, explain(pushFailed, o.Reference, err)
	}
	digest, err := p.run(ctx)
	if err != nil {
		for _, a := range append(p.attachments, p.firmware) {
			if changed := a.Unchanged(); changed != nil {
				return Result{}, changed
			}
		}
		return Result{}, explain(pushFailed, o.Reference, err)
	}
	return Result{
		Reference: o.Reference, Digest: digest.String(), Size: p.firmware.Size, SHA256: p.firmware.SHA256,
		Warning: p.warning,
	}, nil
}

// push is one push while it is under way.
type push struct {
	Options
	firmware    *artifact.File
	attachments []*artifact.File
	repo        *remote.Repository
	warning     string
}

func (p *push) open() (err error) {
	if p.firmware, err = p.Firmware.Open(); err != nil {
		return err
	}
	for _, path := range p.Attachments {
		a, err := p.OpenFile(path, artifact.MaxSize, "can be published")
		if err != nil {
			return err
		}
		p.attachments = append(p.attachments, a)
	}
	return nil
}

func (p *push) close() {
	for _, a := range append(p.attachments, p.firmware) {
		if a != nil {
			_ = a.Close()
		}
	}
}

func (p *push) run(ctx context.Context) (digest.Digest, error) {
	manifest, blobs, err := p.image()
	if err != nil {
		return "", err
	}
	// One token for all of it. Quay makes a repository when it is asked for one to push,
	// and lets nobody read a repository that is not there.
	ctx = auth.AppendRepositoryScope(ctx, p.repo.Reference, auth.ActionPull, auth.ActionPush)
	tag := p.repo.Reference.Reference
	var old, pinned tagged // what the tags name by now
	g, looking := errgroup.WithContext(ctx)
	g.Go(func() (err error) { old, err = p.named(looking, tag, manifest.Digest); return err })
	g.Go(func() (err error) { pinned, err = p.named(looking, p.Version, manifest.Digest); return err })
	g.Go(func() error { return p.pushBlobs(looking, blobs) })
	if err := g.Wait(); err != nil {
		return "", err
	}
	if len(p.attachments) > 0 {
		if err := p.attach(ctx, manifest); err != nil {
			return "", err
		}
	}
	if err := p.tag(ctx, manifest, map[string]tagged{tag: old, p.Version: pinned}); err != nil {
		return "", err
	}
	if err := p.readBack(ctx, manifest); err != nil {
		return "", err
	}
	fmt.Fprintf(p.Log, "published %s@%s\n", p.Reference, manifest.Digest)
	return manifest.Digest, nil
}

// attach pushes the attachments, after what they refer to.
func (p *push) attach(ctx context.Context, subject blob) error {
	manifest, blobs, err := p.files(subject)
	if err != nil {
		return err
	}
	if err := p.pushManifest(ctx, subject, ""); err != nil {
		return err
	}
	if err := p.pushBlobs(ctx, blobs); err != nil {
		return err
	}
	return p.pushManifest(ctx, manifest, "")
}

// pushBlobs uploads the blobs that the registry does not have yet.
func (p *push) pushBlobs(ctx context.Context, blobs []blob) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, b := range blobs {
		g.Go(func() error {
			return retryUpload(ctx, p.Log, func() error {
				exists, err := p.repo.Blobs().Exists(ctx, b.Descriptor)
				if err != nil || exists {
					return err
				}
				// Not repeated by the client: its upload session may be spent.
				return p.repo.Blobs().Push(ctx, b.Descriptor, struct{ io.Reader }{b.reader()})
			})
		})
	}
	return g.Wait()
}

// pushManifest pushes a manifest under a tag, under its digest alone if that is "".
func (p *push) pushManifest(ctx context.Context, manifest blob, tag string) error {
	if tag == "" {
		return p.repo.Manifests().Push(ctx, manifest.Descriptor, manifest.reader())
	}
	return p.repo.Manifests().PushReference(ctx, manifest.Descriptor, manifest.reader(), tag)
}

// readBack makes sure that what was pushed can be pulled: the manifest, byte for
// byte, and a firmware of that digest and size.
func (p *push) readBack(ctx context.Context, manifest blob) error {
	want, err := io.ReadAll(manifest.reader())
	if err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	var got []byte
	var d ocispec.Descriptor
	firmware := firmwareBlob(p.firmware, "")
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		got, err = content.FetchAll(ctx, p.repo.Manifests(), manifest.Descriptor)
		return err
	})
	g.Go(func() (err error) { d, err = p.repo.Blobs().Resolve(ctx, firmware.Digest.String()); return err })
	if err := g.Wait(); err != nil {
		return fmt.Errorf("read back what was pushed: %w", err)
	}
	if !bytes.Equal(got, want) || d.Size != firmware.Size {
		return errors.New("what was pushed reads back as something else")
	}
	return nil
}

// uploads bounds how often the upload of a blob is tried. What has no body, or a
// small one, is repeated by the client.
const uploads = 3

// anew repeats an upload that failed in a way that may pass.
func retryUpload(ctx context.Context, log io.Writer, upload func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := upload()
		if err != nil && !transient(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxTries(uploads), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, d time.Duration) {
		fmt.Fprintf(log, "trying again in %s: %s\n", d.Round(time.Millisecond), detail(err))
	}))
	return err
}
