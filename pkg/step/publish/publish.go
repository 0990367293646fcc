// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package publish is the program of the step image publish: the packages below pkg/publish behind flags.
package publish

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"

	"github.com/drogue-iot/ajour/pkg/internal/proxy"
	"github.com/drogue-iot/ajour/pkg/publish/artifact"
	"github.com/drogue-iot/ajour/pkg/publish/hawkbit"
	"github.com/drogue-iot/ajour/pkg/publish/oci"
	"github.com/drogue-iot/ajour/pkg/step"
)

// Main is the program. Its first argument says where to: "oci" or "hawkbit"; "pull"
// fetches what was published. It returns the exit code.
func Main(ctx context.Context, args []string, stderr io.Writer) int {
	destinations := map[string]func(context.Context, []string, io.Writer) int{
		"oci":     publishOCI,
		"hawkbit": publishHawkbit,
		"pull":    pullOCI,
	}
	if len(args) == 0 || destinations[args[0]] == nil {
		fmt.Fprintln(stderr, "publish: say where to, as in: publish oci FLAGS, or: publish hawkbit FLAGS")
		return step.ExitUsage
	}
	return destinations[args[0]](ctx, args[1:], stderr)
}

func publishOCI(ctx context.Context, args []string, stderr io.Writer) int {
	o := oci.Options{Log: stderr, Proxies: proxy.OfStep()}
	var flags *flag.FlagSet
	var credentials step.Credentials
	res, ok := step.Parse("publish oci", args, stderr, func(f *flag.FlagSet) {
		flags = f
		firmwareFlags(f, &o.Firmware)
		registryFlags(f, &o, &credentials)
		f.StringVar(&o.Application, "application", "", "`name` of the application whose firmware it is")
	})
	if !ok {
		return step.ExitUsage
	}
	o.Attachments, o.Credentials = flags.Args(), credentials.Folder()
	r, err := oci.Push(ctx, o)
	return res.Finish(stderr, map[string]string{
		"image-url": r.Reference, "image-digest": r.Digest, "IMAGE_URL": r.Reference, "IMAGE_DIGEST": r.Digest,
		"size": strconv.FormatInt(r.Size, 10), "checksum": r.SHA256, "warning": r.Warning,
	}, credentials.Explain(err))
}

func publishHawkbit(ctx context.Context, args []string, stderr io.Writer) int {
	o := hawkbit.Options{Log: stderr, Proxies: proxy.OfStep()}
	var credentials step.Credentials
	res, ok := step.Parse("publish hawkbit", args, stderr, func(f *flag.FlagSet) {
		firmwareFlags(f, &o.Firmware)
		f.StringVar(&o.Name, "name", "", "`name` of the software module and the distribution set")
		f.StringVar(&o.Application, "application", "", "`name` of the application whose firmware it is")
		f.StringVar(&o.Controller, "controller", "", "`id` of the target to assign it to")
		credentials.Define(f, "url, and user and password or token")
		f.StringVar(&o.TrustedCA, "trusted-ca", "", "`file` of CA certificates to trust, too")
	})
	if !ok {
		return step.ExitUsage
	}
	o.Credentials = credentials.Folder()
	r, err := hawkbit.Publish(ctx, o)
	return res.Finish(stderr, map[string]string{
		"distribution-set": strconv.FormatInt(r.Set, 10), "action": strconv.FormatInt(r.Action, 10),
		"size": strconv.FormatInt(r.Size, 10), "checksum": r.SHA256,
	}, credentials.Explain(err))
}

func pullOCI(ctx context.Context, args []string, stderr io.Writer) int {
	o := oci.PullOptions{Registry: oci.Options{Log: stderr, Proxies: proxy.OfStep()}}
	var credentials step.Credentials
	res, ok := step.Parse("publish pull", args, stderr, func(f *flag.FlagSet) {
		registryFlags(f, &o.Registry, &credentials)
		f.StringVar(&o.Output, "output", "", "`file` to write the firmware to")
	})
	if !ok {
		return step.ExitUsage
	}
	o.Registry.Credentials = credentials.Folder()
	return res.Finish(stderr, nil, credentials.Explain(oci.Pull(ctx, o)))
}

func registryFlags(f *flag.FlagSet, o *oci.Options, c *step.Credentials) {
	f.StringVar(&o.Reference, "image", "", "full `reference`, with a tag to publish as or a digest to pull")
	f.BoolVar(&o.PlainHTTP, "plain-http", false, "speak HTTP to the registry")
	c.Define(f, "config.json of docker, or user and token")
	f.StringVar(&o.TrustedCA, "trusted-ca", "", "`file` of CA certificates to trust, too")
}

func firmwareFlags(f *flag.FlagSet, fw *artifact.Firmware) {
	f.StringVar(&fw.Root, "root", "", "`folder` of the workspace")
	f.StringVar(&fw.Folder, "folder", ".", "`folder` that the build started in, below that")
	f.StringVar(&fw.Artifact, "artifact", "", "`path` of the firmware below that folder")
	f.Int64Var(&fw.MaxSize, "max-size", 0, "most `bytes` that the firmware may have; any if 0")
	f.StringVar(&fw.Version, "version", "", "version that the firmware reports")
}
