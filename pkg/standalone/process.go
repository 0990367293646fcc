// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/drogue-iot/ajour/config"
	"github.com/drogue-iot/ajour/console"
	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/auth"
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/builder"
	"github.com/drogue-iot/ajour/pkg/drogue"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/local/broker"
	"github.com/drogue-iot/ajour/pkg/local/issuer"
	"github.com/drogue-iot/ajour/pkg/local/oci"
	"github.com/drogue-iot/ajour/pkg/local/registry"
	"github.com/drogue-iot/ajour/pkg/local/runner"
	"github.com/drogue-iot/ajour/pkg/notify"
	publishoci "github.com/drogue-iot/ajour/pkg/publish/oci"
	"github.com/drogue-iot/ajour/pkg/server"
	"github.com/drogue-iot/ajour/pkg/sink"
	"github.com/drogue-iot/ajour/pkg/status"
	"github.com/drogue-iot/ajour/pkg/tekton"
	"github.com/drogue-iot/ajour/pkg/webhook"
	catalog "github.com/drogue-iot/ajour/tekton"
)

const (
	namespace = "ajour-builds"
	// serviceUser is the registry's user of the services themselves.
	serviceUser = "ajour"
	// resyncEvery is how long a condition that vanished can be missing.
	resyncEvery = 5 * time.Second
	// progressEvery is how often the progress of builds moves.
	progressEvery = time.Second
	// keepBuilds is how many builds of an object stay that have ended.
	keepBuilds = 20
	// callTimeout bounds calls between the parts.
	callTimeout = 30 * time.Second
)

// process is everything that runs, joined but not started.
type process struct {
	url, prefix string
	issuer      *issuer.Issuer
	password    string // of the issuer's users
	verifier    *auth.Verifier
	drogue      *registry.Server
	oci         *oci.Registry
	broker      *broker.Broker
	runner      *runner.Runner
	status      *status.Service
	leader      *builder.Leader
	archiver    *tekton.Archiver
	counter     *tekton.Counter
	state       *tekton.Store
	pages       *console.Handler
	api         http.Handler
	builder     http.Handler
	notify      http.Handler
}

// assemble joins the parts. They meet here only: each of them gets what it
// needs as an interface of its own.
func assemble(o Options, public, internal string) (p *process, err error) {
	p = &process{url: "http://" + public, prefix: o.Registry}
	plainHTTP := o.RegistryPlainHTTP
	if o.Registry == "" {
		p.prefix, plainHTTP = public+"/", true
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	client := &http.Client{Timeout: callTimeout, Transport: server.Transport(http.DefaultTransport)}
	if p.issuer, err = issuer.New(p.url + "/realms/drogue"); err != nil {
		return p, err
	}
	p.password = rand.Text()
	p.issuer.SetPassword(p.password)
	p.verifier = auth.New(auth.Options{Issuer: p.issuer.URL(), Audience: issuer.Client})
	if p.broker, err = openBroker(o, internal, client); err != nil {
		return p, err
	}
	secret := rand.Text()
	if p.drogue, err = registry.Open(filepath.Join(o.Dir, "registry.db"), registry.Options{
		Credentials: p.credentials(secret), Publish: p.broker.Publish, Log: o.Log,
	}); err != nil {
		return p, err
	}
	if p.oci, err = oci.Open(filepath.Join(o.Dir, "oci")); err != nil {
		return p, err
	}
	if p.pages, err = console.New(p.issuer.URL()); err != nil {
		return p, err
	}
	keys, err := eventKeys(o.Dir)
	if err != nil {
		return p, err
	}
	broker, state := sink.New("http://"+internal+pathBroker, client), tekton.NewStore()
	events := keys.Signed(broker)
	p.state = state
	if p.runner, err = openRunner(o, state, broker); err != nil {
		return p, err
	}
	devices := drogue.New(p.url, client, drogue.Basic(serviceUser, secret))
	runs := tekton.NewClient(p.runner.PipelineRuns(), p.runner.TaskRuns(), p.runner, tekton.Config{
		Namespace: namespace, RegistryPrefix: p.prefix, PlainHTTP: plainHTTP, Sources: tekton.Sources{
			Schemes: "https,ssh,http", Addresses: "any", // a developer's own machine reaches what that developer does
		},
	})
	incoming := event.Options{Log: o.Log, Keys: keys, Clock: time.Now}
	p.serve(o, devices, runs, events, incoming)
	p.notify, err = notifier(o, p.url+api.Prefixes[0], incoming)
	return p, err
}

// serve makes the services.
func (p *process) serve(
	o Options, devices *drogue.Client, runs *tekton.Client, events event.Sender, incoming event.Options,
) {
	p.api = api.New(
		api.Deps{
			Verifier: p.verifier, Registry: devices, Objects: devices, State: p.state, Runs: runs, Sender: events,
			Hooks: webhook.Folder(o.Webhooks), Artifacts: artifacts(o, p.prefix), Pages: p.pages,
		},
		api.Options{
			Log: o.Log, Clock: time.Now, NewID: newID, User: serviceUser, Policy: o.Policy, Needs: api.NeedsBoth,
			Info: api.Info{Version: server.Version(), Issuer: p.issuer.URL(), ClientID: issuer.Client, Dev: true},
		},
	)
	p.builder = builder.New(
		builder.Deps{
			State:     p.state,
			Runs:      localRuns{runs, p.state},
			Canceller: runs,
			Objects:   devices,
			List:      devices,
			Sender:    events,
		},
		builder.Options{Log: o.Log, Clock: time.Now, Events: incoming, IgnoreChanges: o.IgnoreChanges, Policy: o.Policy},
	)
	p.leader = builder.NewLeader(p.state, runs, builder.Limits{Keep: keepBuilds}, time.Now, o.Log)
	p.counter = tekton.NewCounter(p.state, runs, progressEvery)
	p.archiver = tekton.NewArchiver(p.state, runs, func(ctx context.Context, r build.Run) (build.Log, error) {
		return tekton.Measure(ctx, runs, r) // the logs stay where they are
	}, o.Log)
	p.status = status.New(status.Deps{State: p.state, Runs: runs, Objects: devices, Sender: events}, status.Options{
		Log: o.Log, Clock: time.Now, Events: incoming, Resync: resyncEvery,
	})
}

// artifacts reads what builds have published, with the credentials that they publish with: whoever runs
// this has them.
func artifacts(o Options, prefix string) publishoci.Reader {
	return publishoci.Reader{
		Prefix: prefix, PlainHTTP: o.Registry == "" || o.RegistryPlainHTTP, Credentials: o.Credentials["container-registry"],
	}
}

// notifier makes the service that shows builds on commits.
func notifier(o Options, builds string, incoming event.Options) (http.Handler, error) {
	roots, err := o.CommitStatus.Roots()
	if err != nil {
		return nil, err
	}
	return notify.New(
		&http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		},
		notify.Options{Log: o.Log, Events: incoming, Forges: o.Forges, Tokens: o.CommitStatus, Builds: builds},
	), nil
}

// localRuns lists from the state, which is never behind in one process.
type localRuns struct {
	*tekton.Client
	state *tekton.Store
}

// ListObject implements builder.Runs.
func (l localRuns) ListObject(_ context.Context, o build.ObjectRef) ([]build.Run, error) {
	return l.state.List(build.Query{Object: o}), nil
}

// eventKeys returns the key of the data folder, which is made with it: events that wait in
// the broker outlive the process.
func eventKeys(dir string) (event.Keys, error) {
	file := filepath.Join(dir, "event.key")
	key, err := os.ReadFile(file) //nolint:gosec // in a folder of our own
	if errors.Is(err, fs.ErrNotExist) {
		key = []byte(rand.Text() + rand.Text())
		// A temporary name first: a process that dies here leaves no key that is cut off.
		err = errors.Join(os.WriteFile(file+".new", key, 0o600), os.Rename(file+".new", file))
	}
	if err != nil {
		return event.Keys{}, fmt.Errorf("read event key: %w", err)
	}
	return event.NewKeys(string(key))
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// openBroker routes by the Triggers of the cluster's installation: a subscriber
// that is a Service there is a path here.
func openBroker(o Options, internal string, client *http.Client) (*broker.Broker, error) {
	triggers, err := broker.LoadTriggers(config.Triggers)
	if err != nil {
		return nil, err
	}
	if len(o.Forges) > 0 {
		more, err := broker.LoadTriggers(config.CommitStatus)
		if err != nil {
			return nil, err
		}
		triggers = append(triggers, more...)
	}
	return broker.Open(filepath.Join(o.Dir, "broker.db"), broker.Options{
		Triggers: triggers, HTTP: client, Log: o.Log,
		Resolve: func(service string) string { return "http://" + internal + "/" + service },
	})
}

func openRunner(o Options, state runner.State, events event.Sender) (*runner.Runner, error) {
	c, err := runner.LoadCatalog(catalog.Files)
	if err != nil {
		return nil, err
	}
	steps := map[string][]string{}
	for _, name := range []string{"fetch", "publish"} {
		steps["ko://github.com/drogue-iot/ajour/cmd/"+name] = []string{o.Step, name}
	}
	return runner.Open(runner.Options{
		Dir:        o.Dir,
		Catalog:    c,
		Steps:      steps,
		StepEnv:    o.Proxies.ForSteps(),
		Volumes:    o.Credentials,
		Builders:   o.Builders,
		BuilderEnv: append(o.Proxies.ForBuilders(), o.BuilderEnv...),
		Engine:     o.Engine,
		Parallel:   o.Parallel,
		Observe:    tekton.Observe,
		State:      state,
		Retain:     tekton.Retains,
		Send:       events.Send,
		Log:        o.Log,
	})
}

// credentials lets in the bearers of the issuer's tokens, and the services with
// a secret that no one else knows, as an administrator.
func (p *process) credentials(secret string) registry.Credentials {
	return registry.Credentials{
		// Whoever writes a description runs commands as the user of this process.
		RefuseAnonymous: true,
		Bearer: func(r *http.Request, token string) (registry.User, bool) {
			who, err := p.verifier.Verify(r.Context(), token)
			return registry.User{ID: who.Subject, Name: who.Name}, err == nil
		},
		Basic: func(user, token string) (registry.User, bool) {
			u := registry.User{ID: issuer.Subject(user), Name: user, Roles: []string{registry.AdminRole}}
			return u, user == serviceUser && equalSecret(token, secret)
		},
		UserID: func(name string) (string, bool) { return issuer.Subject(name), name != "" },
	}
}

func (p *process) session() Session {
	claims := p.issuer.Claims("developer", auth.TriggerRole)
	claims["exp"] = time.Now().Add(tokenLife).Unix()
	return Session{
		URL:      p.url,
		Console:  p.issuer.LoginURL(),
		Issuer:   p.issuer.URL(),
		Password: p.password,
		Prefix:   p.prefix,
		Token:    p.issuer.Sign(claims, nil),
		PID:      os.Getpid(),
	}
}

// close closes what keeps state, after everything has stopped.
func (p *process) close() error {
	var errs []error
	if p.runner != nil {
		errs = append(errs, p.runner.Close())
	}
	if p.drogue != nil {
		errs = append(errs, p.drogue.Close())
	}
	if p.broker != nil {
		errs = append(errs, p.broker.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close stores: %w", err)
	}
	return nil
}
