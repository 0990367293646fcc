// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/build"
)

func newGet(env Env, c *client) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get",
		Short: "Show builds",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{fmt.Errorf("there is no %q to get: use builds or build", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newGetBuilds(env, c), newGetBuild(env, c))
	return cmd
}

func newGetBuilds(env Env, c *client) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "builds [APPLICATION [DEVICE]]",
		Short: "List builds, the newest first",
		Example: `  ajour get builds
  ajour get builds greenhouse -o json`,
		Args: args(0, 2, "[APPLICATION [DEVICE]]"),
	}
	format := output(cmd)
	cmd.Flags().IntVar(&limit, "limit", 20, "show at most this `number`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if limit < 0 {
			return &usageError{fmt.Errorf("--limit %d: use 0 or more", limit)}
		}
		query := url.Values{"limit": {strconv.Itoa(limit)}}
		for i, name := range []string{"application", "device"} {
			if len(args) > i {
				query.Set(name, args[i])
			}
		}
		var list []api.Build
		if err := c.get(cmd.Context(), http.MethodGet, "/builds?"+query.Encode(), &list); err != nil {
			return err
		}
		if *format == "json" {
			return printJSON(env.Stdout, list)
		}
		return printBuilds(env.Stdout, list, time.Now())
	}
	return cmd
}

func newGetBuild(env Env, c *client) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "build ID",
		Short:   "Show one build",
		Example: `  ajour get build 0190f2a4-6c3b-7a57-8f0e-0242ac120002`,
		Args:    args(1, 1, "the ID of a build"),
	}
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var b api.Build
		if err := c.get(cmd.Context(), http.MethodGet, "/builds/"+url.PathEscape(args[0]), &b); err != nil {
			return err
		}
		if *format == "json" {
			return printJSON(env.Stdout, b)
		}
		printBuild(env.Stdout, b)
		return nil
	}
	return cmd
}

func printBuilds(w io.Writer, list []api.Build, now time.Time) error {
	if len(list) == 0 {
		fmt.Fprintln(w, "There are no builds.")
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tOBJECT\tSTATUS\tREASON\tPROGRESS\tAGE\tVERSION")
	for _, b := range list {
		version := ""
		if b.Artifact != nil {
			version = b.Artifact.Version
		}
		fmt.Fprintf(
			t, "%s\t%s\t%s\t%s\t%.1f %%\t%s\t%s\n", b.ID, object(b), b.Phase, b.Reason, b.Progress,
			age(now.Sub(b.Requested)), version,
		)
	}
	return t.Flush()
}

// printBuild shows one build, a line for each thing that is known.
func printBuild(w io.Writer, b api.Build) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, build.Clean(value))
		}
	}
	line("Build", b.ID)
	line("Object", object(b))
	line("Status", b.Phase)
	line("Reason", string(b.Reason))
	line("Message", b.Message)
	for _, w := range b.Warnings {
		line("Warning", w)
	}
	line("Progress", fmt.Sprintf("%.1f %%", b.Progress))
	line("Requested", fmt.Sprintf("%s by %s", b.Requested.UTC().Format(time.RFC3339), requester(b)))
	if !b.Started.IsZero() && !b.Completed.IsZero() {
		line("Took", b.Completed.Sub(b.Started).Round(100*time.Millisecond).String())
	}
	line("Commit", b.Commit)
	if a := b.Artifact; a != nil {
		line("Artifact", a.Reference)
		if h := a.Hawkbit; h != nil {
			line("hawkBit", fmt.Sprintf("%s, distribution set %d", h.Controller, h.DistributionSet))
		}
		line("Digest", a.Digest)
		line("Version", a.Version)
		line("Size", fmt.Sprintf("%d bytes", a.Size))
		line("SHA-256", a.SHA256)
	}
	_ = t.Flush()
}

func object(b api.Build) string {
	return build.Clean(build.ObjectRef{Application: b.Application, Device: b.Device}.String())
}

func requester(b api.Build) string {
	if b.Requester == "" {
		return "a " + string(b.Cause)
	}
	return b.Requester
}

// age prints a duration as drg does: 12s, 5m, 3h, 4d2h, 9d.
func age(d time.Duration) string {
	day := 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < day:
		return fmt.Sprintf("%dh", int(d.Hours()))
	case d < 7*day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	default:
		return fmt.Sprintf("%dd", d/day)
	}
}
