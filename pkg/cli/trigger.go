// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/spf13/cobra"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/build"
)

const (
	// pollEvery is how often a build is looked at while a command waits for it.
	pollEvery = 300 * time.Millisecond
	// appearsWithin is how long a build that was accepted may take to appear,
	// and the API to come back.
	appearsWithin = time.Minute
	// recordedWithin is how long the object may take to show the end of a build.
	recordedWithin = 10 * time.Second
)

func newTrigger(c *client) *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:   "trigger APPLICATION [DEVICE]",
		Short: "Build the firmware of an application or a device",
		Long: `Asks for a build of an application, or of a device that has a build description
of its own. Without --wait the command ends when the build is accepted; with it,
it shows the progress until the build has ended and the object says so, and fails if the
build does.`,
		Example: `  ajour trigger greenhouse --wait
  ajour trigger greenhouse "sensor #7"`,
		Args: args(1, 2, "APPLICATION [DEVICE]"),
	}
	format := output(cmd)
	cmd.Flags().BoolVarP(&wait, "wait", "w", false, "wait for the end of the build")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if slices.Contains(args, "") {
			return &usageError{errors.New("a name is empty")}
		}
		path := "/apps/" + url.PathEscape(args[0])
		if len(args) == 2 {
			path += "/devices/" + url.PathEscape(args[1])
		}
		return c.request(cmd.Context(), path+"/trigger", *format, wait)
	}
	return cmd
}

func newPublish(c *client) *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:   "publish BUILD",
		Short: "Publish the firmware of a build again",
		Long: `Publishes what a build compiled without a second compilation: after the OCI registry or
hawkBit refused it, or to assign an earlier build of the registry to its hawkBit
controller. A firmware that no registry took can be published as long as the workspace of
its build is retained. That becomes a build of its own.`,
		Example: `  ajour publish 0190f2a4-6c3b-7a57-8f0e-0242ac120002 --wait`,
		Args:    args(1, 1, "BUILD"),
	}
	format := output(cmd)
	cmd.Flags().BoolVarP(&wait, "wait", "w", false, "wait for the end")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.request(cmd.Context(), "/builds/"+url.PathEscape(args[0])+"/publish", *format, wait)
	}
	return cmd
}

// request asks for a build, and waits for its end if wait is set.
func (c *client) request(ctx context.Context, path, format string, wait bool) error {
	var a api.Accepted
	if err := c.get(ctx, http.MethodPost, path, &a); err != nil {
		return err
	}
	for _, w := range a.Warnings {
		fmt.Fprintf(c.env.Stderr, "Warning: %s\n", build.Clean(w))
	}
	if !wait {
		if format == "json" {
			return printJSON(c.env.Stdout, a)
		}
		fmt.Fprintf(c.env.Stdout, "Build %s is accepted. To see it: ajour get build %[1]s\n", a.ID)
		return nil
	}
	if format == "table" {
		fmt.Fprintf(c.env.Stdout, "Build %s\n", a.ID)
	}
	err := c.await(ctx, a.ID, format)
	const goesOn = "%w: the build goes on, see it with: ajour get build %s\nand end it with: ajour cancel %[2]s"
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf(goesOn, errInterrupted, a.ID)
	case errors.Is(err, errToken): // it was valid before
		return fmt.Errorf(goesOn, errExpired, a.ID)
	default:
		return err
	}
}

var (
	errInterrupted = errors.New("interrupted")
	errExpired     = errors.New("the token is not valid any more")
)

// await shows a build until it ends, and fails if it did not succeed.
func (c *client) await(ctx context.Context, id, format string) error {
	var shown string
	var ended time.Time
	missingSince := time.Now()
	_, err := backoff.Retry(ctx, func() (none struct{}, err error) {
		var b api.Build
		err = c.get(ctx, http.MethodGet, "/builds/"+id, &b)
		switch {
		case (errors.Is(err, errNotThere) || errors.Is(err, errAway)) && time.Since(missingSince) < appearsWithin:
			return none, err
		case err != nil:
			return none, backoff.Permanent(err)
		}
		missingSince = time.Now()
		if now := fmt.Sprintf("%5.1f %%  %s", b.Progress, b.Reason); now != shown && format == "table" {
			shown = now
			fmt.Fprintln(c.env.Stdout, now)
		}
		if !build.Phase(b.Phase).Final() {
			return none, errRuns
		}
		if b.Recorded != nil && !*b.Recorded {
			if ended.IsZero() {
				ended = time.Now()
			}
			if time.Since(ended) < recordedWithin {
				return none, errRuns
			}
			fmt.Fprintln(c.env.Stderr, "Warning: the object does not show the end of the build yet")
		}
		if err := c.conclude(b, format); err != nil {
			return none, backoff.Permanent(err)
		}
		return none, nil
	}, backoff.WithBackOff(backoff.NewConstantBackOff(pollEvery)), backoff.WithMaxElapsedTime(0))
	return err
}

// errRuns says that a build has not ended, as far as its object shows.
var errRuns = errors.New("the build runs")

func (c *client) conclude(b api.Build, format string) error {
	if format == "json" {
		if err := printJSON(c.env.Stdout, b); err != nil {
			return err
		}
	} else {
		printBuild(c.env.Stdout, b)
	}
	if build.Phase(b.Phase) != build.Succeeded {
		return &exitError{exitFailed}
	}
	return nil
}
