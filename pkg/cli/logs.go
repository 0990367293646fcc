// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
)

func newLogs(env Env, c *client) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs ID",
		Short: "Show what the steps of a build printed",
		Example: `  ajour logs 0190f2a4-6c3b-7a57-8f0e-0242ac120002
  ajour logs --follow 0190f2a4-6c3b-7a57-8f0e-0242ac120002`,
		Args: args(1, 1, "the ID of a build"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := c.do(
				cmd.Context(), http.MethodGet,
				fmt.Sprintf("/builds/%s/log?follow=%t", url.PathEscape(args[0]), follow),
			)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			out := transform.NewWriter(env.Stdout, harmless())
			_, err = io.Copy(out, res.Body)
			if err := errors.Join(err, out.Close()); err != nil {
				return fmt.Errorf("the log ended early, the build may go on: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the build ends")
	return cmd
}

// harmless keeps what a build prints from controlling the terminal. A character may arrive in
// two pieces.
func harmless() transform.Transformer {
	return transform.Chain(
		runes.Remove(runes.Predicate(func(r rune) bool { return r == '\r' })),
		runes.Map(func(r rune) rune {
			if unicode.IsControl(r) && r != '\n' && r != '\t' {
				return unicode.ReplacementChar
			}
			return r
		}),
	)
}
