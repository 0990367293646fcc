// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// image is one that is not built by ko: what programs stand on, and builders.
type image struct {
	name       string
	entrypoint []string
	user       string
	// files are copied from this machine, the rest is made of packages.
	files []tarFile
	// packages of Debian, installed with everything that they need.
	packages []string
}

type tarFile struct {
	tar.Header
	content []byte
}

const busybox = "/bin/busybox"

// images returns what the registry holds besides what ko builds. There is no
// registry to pull from: all of it comes from Debian's packages.
func images() ([]image, error) {
	certs, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		return nil, fmt.Errorf("read CA certificates: %w", err)
	}
	shell, err := os.ReadFile(busybox)
	if err != nil {
		return nil, fmt.Errorf("read busybox: %w", err)
	}
	static := []tarFile{
		{tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}, nil},
		{
			tar.Header{Name: "etc/passwd", Mode: 0o644},
			[]byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n"),
		},
		{tar.Header{Name: "etc/ssl/certs/ca-certificates.crt", Mode: 0o644}, certs},
	}
	tools := append(static[:len(static):len(static)], tarFile{tar.Header{Name: busybox[1:], Mode: 0o755}, shell})
	for _, applet := range []string{
		"sh", "cat", "cp", "cut", "dd", "echo", "env", "grep", "head", "id", "ln", "ls",
		"mkdir", "mkfifo", "printf", "sleep", "tail", "true", "wget",
	} {
		tools = append(tools, tarFile{tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: busybox}, nil})
	}
	return []image{
		{name: "static:latest", user: "65532", files: static},
		{name: "pause:3.6", entrypoint: []string{busybox, "sleep", "2147483647"}, user: "65535", files: tools},
		{name: "busybox:latest", entrypoint: []string{busybox}, files: tools},
		{name: "shell:latest", entrypoint: []string{"/bin/sh", "-c"}, user: "65532", files: tools},
		{name: "git:latest", user: "65532", packages: []string{"git", "git-lfs", "ca-certificates", "openssh-client"}},
		{
			name:       "microbit:latest",
			entrypoint: []string{"make"},
			user:       "65532",
			packages:   []string{"make", "gcc-arm-none-eabi"},
		},
	}, nil
}

// pushImages makes all images and pushes them to a registry, through the proxy
// unless that is nil.
func pushImages(ctx context.Context, registry string, proxy *url.URL, say func(string, ...any)) error {
	list, err := images()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ajour-images-")
	if err != nil {
		return fmt.Errorf("make folder for images: %w", err)
	}
	defer os.RemoveAll(dir)
	for _, i := range list {
		img, err := i.build(ctx, dir)
		if err != nil {
			return fmt.Errorf("build image %s: %w", i.name, err)
		}
		ref, err := name.ParseReference(registry+"/"+i.name, name.Insecure)
		if err != nil {
			return fmt.Errorf("name image: %w", err)
		}
		transport := &http.Transport{Proxy: http.ProxyURL(proxy)}
		if err := remote.Write(ref, img, remote.WithContext(ctx), remote.WithTransport(transport)); err != nil {
			return fmt.Errorf("push image %s: %w", i.name, err)
		}
		say("image %s is pushed", i.name)
	}
	return nil
}

func (i image) build(ctx context.Context, dir string) (v1.Image, error) {
	layer, err := i.layer(ctx, dir)
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, fmt.Errorf("append layer: %w", err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64" // containerd passes over images of no platform
	config.Config = v1.Config{
		Entrypoint: i.entrypoint,
		User:       i.user,
		Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}
	return mutate.ConfigFile(img, config)
}

func (i image) layer(ctx context.Context, dir string) (v1.Layer, error) {
	if len(i.packages) > 0 {
		file := path.Join(dir, i.name+".tar")
		if err := command(
			ctx,
			nil,
			"mmdebstrap",
			"--mode=root",
			"--variant=essential",
			"--include="+strings.Join(i.packages, ","),
			`--customize-hook=echo nonroot:x:65532:65532:nonroot:/tmp:/bin/sh >> "$1/etc/passwd"`, // ssh wants to know who it is
			"--dpkgopt=path-exclude=/usr/share/doc/*",
			"--dpkgopt=path-exclude=/usr/share/locale/*",
			"--dpkgopt=path-exclude=/usr/share/man/*",
			"bookworm",
			file,
		); err != nil {
			return nil, err
		}
		return tarball.LayerFromFile(file)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range i.files {
		f.Size = int64(len(f.content))
		if err := w.WriteHeader(&f.Header); err != nil {
			return nil, fmt.Errorf("write layer: %w", err)
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, fmt.Errorf("write layer: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write layer: %w", err)
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
}

// buildImages fills the registry and the cache.
func buildImages(ctx context.Context, l layout, s *sandbox, say func(string, ...any)) error {
	if err := poll(ctx, "registry", func(ctx context.Context) error {
		return command(
			ctx,
			[]string{fmt.Sprintf("HTTP_PROXY=http://127.0.0.1:%d", s.port)},
			l.bin("crane"),
			"catalog",
			"--insecure",
			registryAddress,
		)
	}); err != nil {
		return err
	}
	if err := pushImages(
		ctx, registryAddress, &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", s.port)}, say,
	); err != nil {
		return err
	}
	temp := l.images() + ".new"
	if err := errors.Join(os.RemoveAll(temp), os.MkdirAll(temp, 0o755)); err != nil {
		return fmt.Errorf("make cache: %w", err)
	}
	say("building the images of Tekton and Knative")
	if err := resolveAddons(ctx, l, s, temp); err != nil {
		return err
	}
	// The registry has written all that it has answered for.
	if err := command(ctx, nil, "cp", "-a", l.path("registry"), temp+"/registry"); err != nil {
		return err
	}
	return os.Rename(temp, l.images())
}

// restoreImages gives the registry its own copy of what is cached.
func restoreImages(ctx context.Context, l layout) (cached bool, err error) {
	if _, err := os.Stat(l.images()); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return true, command(ctx, nil, "cp", "-a", l.images()+"/registry", l.path("registry"))
}
