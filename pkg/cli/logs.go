// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
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
			if _, err := io.Copy(harmless{env.Stdout}, res.Body); err != nil {
				return fmt.Errorf("the log ended early, the build may go on: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the build ends")
	return cmd
}

// harmless keeps what a build prints from controlling the terminal.
type harmless struct{ io.Writer }

func (h harmless) Write(p []byte) (int, error) {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return -1
		case unicode.IsControl(r):
			return '\uFFFD'
		default:
			return r
		}
	}, string(p))
	_, err := io.WriteString(h.Writer, clean)
	return len(p), err
}
