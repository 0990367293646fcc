// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package devtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Spec describes a build of a container image. Change may edit the build block.
func Spec(url, image, builder string, args []string, change ...func(map[string]any)) map[string]any {
	b := map[string]any{
		"image": builder, "source": map[string]any{"git": map[string]any{"uri": url, "rev": "main", "project": "."}},
		"args": args, "artifact": map[string]any{"path": "firmware.bin"}, "triggers": []string{"manual"},
	}
	for _, c := range change {
		c(b)
	}
	return map[string]any{"firmware": map[string]any{"container": map[string]any{"image": image, "build": b}}}
}

// Of returns a copy of a spec whose image is that of the application, if it was a tag alone, as in
// ":latest".
func Of(app string, spec map[string]any) map[string]any {
	data, err := json.Marshal(spec)
	if err != nil {
		panic(err) // a spec of a test is JSON
	}
	var own map[string]any
	if err := json.Unmarshal(data, &own); err != nil {
		panic(err)
	}
	for _, at := range [][]string{{"container"}, {"hawkbit", "build", "publish", "container"}} {
		block, _ := own["firmware"].(map[string]any)
		for _, name := range at {
			block, _ = block[name].(map[string]any)
		}
		if image, _ := block["image"].(string); strings.HasPrefix(image, ":") {
			block["image"] = app + image
		}
	}
	return own
}

// HawkbitSpec is like Spec for a hawkBit controller, and for an OCI image, too, unless
// that is empty.
func HawkbitSpec(url, controller, image, builder string, args []string, change ...func(map[string]any)) map[string]any {
	spec := Spec(url, "", builder, args, append(change, func(b map[string]any) {
		if image != "" {
			b["publish"] = map[string]any{"container": map[string]any{"image": image}}
		}
	})...)
	firmware := spec["firmware"].(map[string]any)
	firmware["hawkbit"] = map[string]any{
		"controller": controller,
		"build":      firmware["container"].(map[string]any)["build"],
	}
	delete(firmware, "container")
	return spec
}

// Pull returns the layers of an artifact, read with a client of a different make
// than the one that pushed it.
func Pull(reference string, options ...remote.Option) (firmware, metadata []byte, err error) {
	ref, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		return nil, nil, err
	}
	img, err := remote.Image(ref, options...)
	if err != nil {
		return nil, nil, err
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, nil, err
	}
	if len(layers) != 2 {
		return nil, nil, fmt.Errorf("%s has %d layers", reference, len(layers))
	}
	var contents [2][]byte
	for i, l := range layers {
		r, err := l.Compressed()
		if err != nil {
			return nil, nil, err
		}
		contents[i], err = io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, nil, err
		}
	}
	return contents[0], contents[1], nil
}

// Boot boots firmware on a micro:bit in QEMU, and returns the first n bytes that
// it prints within a minute.
func Boot(ctx context.Context, dir string, firmware []byte, n int) ([]byte, error) {
	file := filepath.Join(dir, "firmware.bin")
	if err := os.WriteFile(file, firmware, 0o600); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-arm", "-M", "microbit", "-device", "loader,file="+file+",addr=0",
		"-display", "none", "-monitor", "none", "-serial", "stdio")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	printed := make([]byte, n)
	_, err = io.ReadFull(out, printed)
	cancel()
	_ = cmd.Wait() // it was killed
	return printed, err
}
