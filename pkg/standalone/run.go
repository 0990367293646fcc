// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/pkg/auth"
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/internal/proxy"
	"github.com/drogue-iot/ajour/pkg/notify"
	"github.com/drogue-iot/ajour/pkg/server"
)

// Options configure the process.
type Options struct {
	// Dir keeps all state; it is made if it does not exist.
	Dir string
	// Listen is the address for people, "127.0.0.1:0" for any free port.
	Listen string
	// Step is the path of the program whose first argument is the name of a step and whose
	// further ones are those of the step: see cmd/ajour-step.
	Step string
	// Builders maps builder images to programs of this machine.
	Builders map[string]string
	// BuilderEnv is added to the environment of mapped builders, "NAME=VALUE".
	BuilderEnv []string
	// Engine is the path of podman or docker, empty for none.
	Engine string
	// Registry is the prefix of an OCI registry to publish to, such as
	// "quay.io/acme/"; the embedded one if empty.
	Registry string
	// RegistryPlainHTTP speaks HTTP to that registry.
	RegistryPlainHTTP bool
	// Credentials are folders by the names of the Secrets and the ConfigMap that an
	// installation has: git-credentials, container-registry, hawkbit-config, trusted-ca, and
	// those of applications, such as git.APP.
	Credentials map[string]string
	// Webhooks is the folder with the secrets of webhooks, a file for each application; empty for
	// none.
	Webhooks string
	// CommitStatus is the folder with the forges that get a status of commits, as the file forges
	// lists them, and their tokens; empty for none.
	CommitStatus notify.Folder
	// Forges are those that it lists.
	Forges []notify.Forge
	// Proxies are what the steps of builds connect through.
	Proxies proxy.Settings
	// Parallel is how many builds run at the same time.
	Parallel int
	// IgnoreChanges keeps changes of descriptions from starting builds.
	IgnoreChanges bool
	// Policy is what may be built, and where to.
	Policy build.Policy
	// Traces exports traces, see [server.NewTraces].
	Traces bool
	Log    *slog.Logger
}

// Session is what a client needs to use a running process.
type Session struct {
	// URL is the base of all APIs, of the issuer and of the OCI registry.
	URL string `json:"url"`
	// Console is a link that opens the console in a browser, and lets that log in.
	Console string `json:"console"`
	// Issuer is the OIDC issuer, at whose /token the password of every user is Password.
	Issuer   string `json:"issuer"`
	Password string `json:"password"`
	// Prefix is put in front of the image of a description.
	Prefix string `json:"prefix"`
	// Token is an access token with the right to trigger builds.
	Token string `json:"token"`
	// PID is the id of the process.
	PID int `json:"pid"`
}

// tokenLife is how long the token of a session is valid: a day at a desk.
const tokenLife = 12 * time.Hour

// Run runs everything until the context ends. When all of it works, it calls
// ready once. It returns when everything has ended and is on disk.
func Run(ctx context.Context, o Options, ready func(Session) error) (err error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return fmt.Errorf("find data folder: %w", err)
	}
	var lc net.ListenConfig
	public, err := lc.Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	internal, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(fmt.Errorf("listen: %w", err), public.Close())
	}
	traces, err := server.NewTraces(ctx, "dev", o.Traces)
	if err != nil {
		return errors.Join(err, public.Close(), internal.Close())
	}
	defer traces.Close(ctx)
	p, err := assemble(o, public.Addr().String(), internal.Addr().String())
	if err != nil {
		return errors.Join(err, public.Close(), internal.Close())
	}
	defer func() { err = errors.Join(err, p.close()) }()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Run(ctx, public, server.Traced(p.public()), o.Log) })
	g.Go(func() error { return server.Run(ctx, internal, server.Traced(p.internal()), o.Log) })
	for _, loop := range []func(context.Context) error{
		p.verifier.Run, p.broker.Run, p.runner.Run, p.drogue.Run, p.leader.Run, p.status.Run, p.status.Lead,
		p.archiver.Run, p.counter.Run,
	} {
		g.Go(func() error { return loop(ctx) })
	}
	g.Go(func() error {
		if err := awaitReady(ctx, p.verifier); err != nil {
			return nil //nolint:nilerr // stopped before it was ready, which is no failure
		}
		return ready(p.session())
	})
	return g.Wait()
}

// awaitReady waits for the issuer's keys, without which no call is answered.
func awaitReady(ctx context.Context, v *auth.Verifier) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, v.Ready() },
		backoff.WithBackOff(backoff.NewConstantBackOff(5*time.Millisecond)), backoff.WithMaxElapsedTime(0))
	return err
}
