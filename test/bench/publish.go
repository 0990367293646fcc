// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
)

// publish compares with two other clients that push the same artifact to the same
// registry, each time to a repository that is not there yet.
func (b *bench) publish(ctx context.Context) error {
	host, stop, err := b.registry(ctx)
	if err != nil {
		return err
	}
	defer stop()
	root := filepath.Join(b.dir, "artifact")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	n := 0
	reference := func() string {
		n++
		return fmt.Sprintf("%s/r%d:latest", host, n)
	}
	for file, content := range map[string]string{
		"firmware.json": `{"version":"4f1c2ab"}`,
		"config.json":   `{"architecture":"arm","os":"none","rootfs":{"type":"layers","diff_ids":[]}}`,
	} {
		if err := os.WriteFile(filepath.Join(root, file), []byte(content), 0o600); err != nil {
			return err
		}
	}
	for _, size := range []struct {
		name  string
		bytes int
		runs  int
	}{{"1 MB", 1 << 20, 30}, {"100 MB", 100 << 20, 7}, {"1 GB", 1 << 30, 1}} {
		ours := b.publishSide(root, size.bytes, reference)
		var memory int64
		for other, s := range map[string]side{
			"oras": b.orasSide(root, size.bytes, reference), "crane": b.craneSide(size.bytes, reference),
		} {
			title := "publish, " + size.name + ", to " + other
			if b.skips(title) {
				continue
			}
			kib, err := b.compare(ctx, title, size.runs, ours, s)
			if err != nil {
				return err
			}
			memory = max(memory, kib)
		}
		if memory > 0 {
			fmt.Fprintf(
				b.out, "%-34s %5s %8.1fMB %10s %7s  64 MB%s\n", "memory of publish, "+size.name, "",
				float64(memory)/1024, "", "", verdict(memory <= maxMemory),
			)
		}
	}
	return nil
}

// fresh writes other bytes for each push: registries keep equal blobs once, and know them.
func fresh(root string, size int) error {
	return os.WriteFile(filepath.Join(root, "firmware.bin"), random(size), 0o600)
}

func (b *bench) publishSide(root string, size int, reference func() string) side {
	return side{func() error { return fresh(root, size) }, func() []string {
		return []string{
			filepath.Join(
				b.dir,
				"publish",
			),
			"oci",
			"--image=" + reference(),
			"--root=" + root,
			"--artifact=firmware.bin",
			"--version=4f1c2ab",
			"--trusted-ca=" + b.ca(),
			"--results=" + filepath.Join(b.dir, "size"),
		}
	}}
}

func (b *bench) orasSide(root string, size int, reference func() string) side {
	return side{func() error { return fresh(root, size) }, func() []string {
		return []string{
			filepath.Join(
				b.dir,
				"oras",
			),
			"push",
			"--disable-path-validation",
			"--config",
			filepath.Join(root, "config.json") + ":application/vnd.oci.image.config.v1+json",
			reference() + ",4f1c2ab",
			filepath.Join(root, "firmware.bin") + ":application/octet-stream",
			filepath.Join(root, "firmware.json") + ":application/json",
		}
	}}
}

// craneSide pushes what crane can push: an image whose digests are known, while the others
// have to compute them first.
func (b *bench) craneSide(size int, reference func() string) side {
	image := filepath.Join(b.dir, "layout")
	return side{func() error { return writeLayout(image, random(size)) }, func() []string {
		return []string{filepath.Join(b.dir, "crane"), "push", image, reference()}
	}}
}

// writeLayout writes the image that crane pushes: a layer with the bytes, and one with
// metadata.
func writeLayout(dir string, data []byte) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	img, err := mutate.AppendLayers(
		empty.Image, static.NewLayer(data, "application/octet-stream"),
		static.NewLayer([]byte(`{"version":"4f1c2ab"}`), "application/json"),
	)
	if err != nil {
		return err
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	return path.AppendImage(img)
}

// registry starts Debian's docker-registry, with the certificate of the bench.
func (b *bench) registry(ctx context.Context) (host string, stop func(), err error) {
	const port = "38517"
	host = "127.0.0.1:" + port
	config := filepath.Join(b.dir, "registry.yaml")
	text := fmt.Sprintf(
		"version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\n"+
			"http: {addr: %q, tls: {certificate: %s, key: %s}}\n",
		filepath.Join(b.dir, "registry"),
		host,
		b.ca(),
		b.key(),
	)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, "docker-registry", "serve", config)
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		if conn, err := net.Dial("tcp", host); err == nil {
			conn.Close()
			return host, stop, nil
		}
		<-tick.C
	}
	stop()
	return "", nil, errors.New("the registry does not answer")
}
