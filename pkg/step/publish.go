// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package step

import (
	"context"
	"flag"
	"io"
	"strconv"

	"github.com/drogue-iot/ajour/pkg/publish"
)

// Publish is the program of the step image publish. Credentials come from the
// docker configuration in the folder that DOCKER_CONFIG names. It returns the
// exit code.
func Publish(ctx context.Context, args []string, stderr io.Writer) int {
	o := publish.Options{Log: stderr}
	res, ok := parse("publish", args, stderr, func(flags *flag.FlagSet) *string {
		flags.StringVar(&o.Reference, "image", "", "full `reference` to publish as")
		flags.StringVar(&o.Root, "root", "", "`folder` that the build started in")
		flags.StringVar(&o.Artifact, "artifact", "", "`path` of the firmware below that folder")
		flags.StringVar(&o.Version, "version", "", "version that the firmware reports")
		flags.BoolVar(&o.PlainHTTP, "plain-http", false, "speak HTTP to the registry")
		return resultsFlag(flags)
	})
	if !ok {
		return exitUsage
	}
	r, err := publish.OCI(ctx, o)
	return res.finish(stderr, map[string]string{
		"image-url": r.Reference, "image-digest": r.Digest, "IMAGE_URL": r.Reference, "IMAGE_DIGEST": r.Digest,
		"size": strconv.FormatInt(r.Size, 10), "checksum": r.SHA256,
	}, err)
}
