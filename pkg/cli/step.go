// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/drogue-iot/ajour/pkg/step/fetch"
	"github.com/drogue-iot/ajour/pkg/step/publish"
)

// newStep is how "ajour dev" runs the steps that are images of their own in a
// cluster.
func newStep(env Env) *cobra.Command {
	cmd := &cobra.Command{Use: "step", Short: "Run a step of a build", Hidden: true}
	for name, run := range map[string]func(context.Context, []string, io.Writer) int{
		"fetch": func(ctx context.Context, args []string, stderr io.Writer) int {
			return fetch.Main(ctx, []string{env.Program, "step", "fetch"}, args, stderr)
		},
		"publish": publish.Main,
	} {
		cmd.AddCommand(&cobra.Command{
			Use: name, Short: "Run the step " + name, DisableFlagParsing: true,
			RunE: func(cmd *cobra.Command, args []string) error {
				if code := run(cmd.Context(), args, env.Stderr); code != exitDone {
					return &exitError{code}
				}
				return nil
			},
		})
	}
	return cmd
}
