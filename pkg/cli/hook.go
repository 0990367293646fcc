// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/build"
)

// hook is what a forge has to know.
type hook struct {
	Application string `json:"application"`
	URL         string `json:"url"`
	// Secret is a new one: those that an installation has are for nobody to read.
	Secret string `json:"secret"`
}

func newHook(env Env, c *client) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hook APPLICATION",
		Short: "Print what a git forge needs to have pushes built",
		Long: `Prints the address and a new secret for a webhook of GitHub, GitLab, Gitea, Forgejo or
Bitbucket, and what to do with them. A push builds the application and those of its devices
whose source is the repository and the branch or tag that was pushed, unless their triggers
say something else.`,
		Example: `  ajour hook greenhouse
  ajour hook greenhouse --url https://builds.example.org -o json`,
		Args: args(1, 1, "an application"),
	}
	format := output(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if err := (build.ObjectRef{Application: args[0]}).Validate(); err != nil {
			return &usageError{err}
		}
		if err := c.locate(); err != nil {
			return err
		}
		// 26 letters and digits have 130 bits, and need no quotes anywhere.
		h := hook{args[0], c.url + api.Prefixes[0] + "/hooks/" + url.PathEscape(args[0]), rand.Text()}
		if *format == "json" {
			return json.NewEncoder(env.Stdout).Encode(h) //nolint:gosec // what it is called for
		}
		fmt.Fprintf(env.Stdout, hookText, h.Application, h.URL, h.Secret)
		return nil
	}
	return cmd
}

const hookText = `URL     %[2]s
Secret  %[3]s

Give the secret to the installation. It replaces one that the application has: to have both for a
while, write them with \n between them.

  kubectl --namespace=ajour create secret generic webhooks      # unless there is one
  kubectl --namespace=ajour patch secret webhooks --patch='{"stringData": {"%[1]s": "%[3]s"}}'

or, for "ajour dev --secrets=FOLDER", write it into the file FOLDER/webhooks/%[1]s.

Give the URL and the secret to the forge, in the settings of the repository, Webhooks:

  GitHub                 Add webhook. Content type: application/json. Just the push event.
  GitLab                 Add new webhook. The secret is the Secret token.
                         Trigger: Push events, Tag push events.
  Gitea, Forgejo         Add webhook, of the type of the forge. Method: POST.
                         Content type: application/json. Trigger on: Push events.
  Bitbucket              Add webhook. Triggers: Repository push.
  Bitbucket Data Center  Create webhook. Repository events: Push.
`
