// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/drogue-iot/ajour/pkg/api"
)

func newCancel(env Env, c *client) *cobra.Command {
	return &cobra.Command{
		Use:     "cancel ID",
		Short:   "End a build that has not ended yet",
		Example: `  ajour cancel 0190f2a4-6c3b-7a57-8f0e-0242ac120002`,
		Args:    args(1, 1, "the ID of a build"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var a api.Accepted
			if err := c.get(cmd.Context(), http.MethodDelete, "/builds/"+url.PathEscape(args[0]), &a); err != nil {
				return err
			}
			fmt.Fprintf(env.Stdout, "Build %s is being cancelled.\n", a.ID)
			return nil
		},
	}
}
