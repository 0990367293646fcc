// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/drogue-iot/ajour/pkg/server"
)

func newVersion(env Env) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of this program",
		Args:  args(0, 0, "none"),
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintf(env.Stdout, "ajour %s\n", server.Version())
			return nil
		},
	}
}
