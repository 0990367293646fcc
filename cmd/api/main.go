// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command api is the service that people and their tools call: see pkg/api.
package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/drogue-iot/ajour/cmd/internal/service"
	"github.com/drogue-iot/ajour/console"
	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/auth"
	"github.com/drogue-iot/ajour/pkg/drogue"
	"github.com/drogue-iot/ajour/pkg/publish/oci"
	"github.com/drogue-iot/ajour/pkg/server"
	"github.com/drogue-iot/ajour/pkg/tekton"
	"github.com/drogue-iot/ajour/pkg/webhook"
)

type envConfig struct {
	service.Config
	service.Credentials
	service.Policy
	service.Artifacts
	service.Progress
	Issuer            string     `envconfig:"ISSUER_URL" required:"true" desc:"OIDC issuer of access tokens, exactly as in their claim iss"`
	ClientID          string     `envconfig:"CLIENT_ID" default:"drogue" desc:"our OAuth client, whose role trigger-build counts; it, or the client of azp, must be in aud"`
	Clients           []string   `envconfig:"ALLOWED_CLIENTS" desc:"OAuth clients (azp) whose tokens are accepted, as drogue,services,direct; CLIENT_ID alone if empty"`
	Applications      []string   `envconfig:"ALLOWED_APPLICATIONS" desc:"the only applications that may be built, separated by commas; all if empty"`
	Needs             api.Rights `envconfig:"TRIGGER_NEEDS" default:"both" desc:"what a caller needs to have an object built, cancel its builds and publish them: role for the role trigger-build, write for the right to write the object, both"`
	Calls             int        `envconfig:"CALLS_PER_SECOND" default:"50" desc:"calls of one caller that a replica answers in a second in the long run, and five times as many at once; any number if 0"`
	CallerBuilds      int        `envconfig:"CALLER_BUILDS_PER_MINUTE" default:"60" desc:"builds that one caller may ask a replica for in a minute; any number if 0"`
	ApplicationBuilds int        `envconfig:"APPLICATION_BUILDS_PER_MINUTE" default:"60" desc:"builds that a replica takes calls for, of one application and its devices, in a minute; any number if 0"`
	Hooks             string     `envconfig:"WEBHOOK_SECRETS" default:"/webhooks" desc:"folder with a file for each application that forges may call about, with the secrets of its webhooks, one in a line; read for each delivery"`
	ReadArtifacts     string     `envconfig:"REGISTRY_CREDENTIALS" default:"/registry" desc:"folder with the credentials by which firmware is read from the OCI registry, those of the Secret container-registry-read; read for each call, and none is read while it is empty"`
	Console           bool       `envconfig:"CONSOLE" default:"true" desc:"serve the web console at /, where people log in as CLIENT_ID"`
	Origins           []string   `envconfig:"ALLOWED_ORIGINS" desc:"origins that may call from a browser, separated by commas; none if empty"`
}

func main() {
	var c envConfig
	os.Exit(service.Main(&c, func(ctx context.Context) error { return run(ctx, c) }))
}

func run(ctx context.Context, c envConfig) error {
	s, err := c.Setup(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(c.CheckURL("ISSUER_URL", c.Issuer), c.Check()); err != nil {
		return err
	}
	policy, wrong := c.Policy.Policy()
	user, credentials, err := c.Identity(c.Transport, s.HTTP)
	if err := errors.Join(wrong, err); err != nil {
		return err
	}
	cluster, err := tekton.Connect(c.Namespace, s.Log)
	if err != nil {
		return err
	}
	runs, err := cluster.Client(tekton.Config{})
	if err != nil {
		return err
	}
	pages, err := c.pages()
	if err != nil {
		return err
	}
	refused, err := service.MeasureCalls(s.Metrics)
	if err != nil {
		return err
	}
	state := tekton.NewStore()
	verifier := auth.New(auth.Options{Issuer: c.Issuer, Audience: c.ClientID, Clients: c.Clients, Log: s.Log})
	// What callers see of the registry, they see with their own token. Ours tells whether the
	// builder will be able to read an object.
	devices := drogue.New(c.Registry, s.HTTP, credentials)
	return server.Service{
		Handler: api.New(
			api.Deps{
				Verifier: verifier, Registry: devices, Objects: devices, State: state, Runs: runs, Sender: s.Sender,
				Hooks:     webhook.Folder(c.Hooks),
				Artifacts: oci.Reader{Prefix: c.Prefix, PlainHTTP: c.PlainHTTP, Credentials: c.ReadArtifacts},
				Pages:     pages,
			},
			api.Options{
				Log: s.Log, Clock: time.Now, NewID: func() string { return uuid.Must(uuid.NewV7()).String() },
				Applications: c.Applications, Origins: c.Origins, User: user, Policy: policy, Needs: c.Needs,
				Limits:  api.Limits{Calls: c.Calls, CallerBuilds: c.CallerBuilds, ApplicationBuilds: c.ApplicationBuilds},
				Info:    api.Info{Version: server.Version(), Issuer: c.Issuer, ClientID: c.ClientID},
				Refused: refused,
			},
		),
		Ready: func() error { return errors.Join(verifier.Ready(), state.Ready()) },
		Loops: []func(context.Context) error{
			verifier.Run,
			cluster.Reflector(state, s.Log).Run,
			tekton.NewCounter(state, runs, c.Interval).Run,
		},
		Metrics: s.Metrics, Traces: s.Traces,
		Log: s.Log,
	}.Run(ctx, c.Port, c.MetricsPort)
}

// pages returns the web console, nil if there is to be none.
func (c envConfig) pages() (http.Handler, error) {
	if !c.Console {
		return nil, nil //nolint:nilnil // no pages are no error
	}
	return console.New(c.Issuer)
}
