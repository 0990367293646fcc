// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/drogue-iot/ajour/config"
	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/auth"
	"github.com/drogue-iot/ajour/pkg/builder"
	"github.com/drogue-iot/ajour/pkg/drogue"
	"github.com/drogue-iot/ajour/pkg/local/broker"
	"github.com/drogue-iot/ajour/pkg/local/issuer"
	"github.com/drogue-iot/ajour/pkg/local/oci"
	"github.com/drogue-iot/ajour/pkg/local/registry"
	"github.com/drogue-iot/ajour/pkg/local/runner"
	"github.com/drogue-iot/ajour/pkg/sink"
	"github.com/drogue-iot/ajour/pkg/status"
	"github.com/drogue-iot/ajour/pkg/tekton"
	catalog "github.com/drogue-iot/ajour/tekton"
)

const (
	namespace = "ajour-builds"
	// serviceUser is the registry's user of the services themselves.
	serviceUser = "ajour"
	// repairEvery is how long a lost event can go unnoticed.
	repairEvery = 5 * time.Second
	// keepBuilds is how many builds of an object stay that have ended.
	keepBuilds = 20
	// callTimeout bounds calls between the parts.
	callTimeout = 30 * time.Second
)

// process is everything that runs, joined but not started.
type process struct {
	url, prefix string
	issuer      *issuer.Issuer
	verifier    *auth.Verifier
	drogue      *registry.Server
	oci         *oci.Registry
	broker      *broker.Broker
	runner      *runner.Runner
	status      *status.Service
	api         http.Handler
	builder     http.Handler
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
	client := &http.Client{Timeout: callTimeout}
	if p.issuer, err = issuer.New(p.url + "/realms/drogue"); err != nil {
		return p, err
	}
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
	events := sink.New("http://"+internal+pathBroker, client)
	if p.runner, err = openRunner(o, events); err != nil {
		return p, err
	}
	devices := drogue.New(p.url, client, drogue.Basic(serviceUser, secret))
	runs := tekton.NewClient(p.runner.PipelineRuns(), p.runner.TaskRuns(), p.runner, tekton.Config{
		Namespace: namespace, RegistryPrefix: p.prefix, PlainHTTP: plainHTTP, Sources: tekton.Sources{
			Schemes: "https,ssh,http", Addresses: "any", // a developer's own machine reaches what that developer does
		},
	})
	p.api = api.New(p.verifier, devices, runs, events, api.Options{Log: o.Log, Clock: time.Now, NewID: newID})
	p.builder = builder.New(runs, devices, events, builder.Options{Log: o.Log, Clock: time.Now, Keep: keepBuilds, IgnoreChanges: o.IgnoreChanges})
	p.status = status.New(runs, devices, events, status.Options{Log: o.Log, Clock: time.Now, Repair: repairEvery})
	return p, nil
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// openBroker routes by the Triggers of the cluster's installation: a subscriber
// that is a Service there is a path here.
func openBroker(o Options, internal string, client *http.Client) (*broker.Broker, error) {
	triggers, err := broker.LoadTriggers(config.Triggers)
	if err != nil {
		return nil, err
	}
	return broker.Open(filepath.Join(o.Dir, "broker.db"), broker.Options{
		Triggers: triggers, HTTP: client, Log: o.Log,
		Resolve: func(service string) string { return "http://" + internal + "/" + service },
	})
}

func openRunner(o Options, events *sink.Sink) (*runner.Runner, error) {
	c, err := runner.LoadCatalog(catalog.Files)
	if err != nil {
		return nil, err
	}
	steps := map[string][]string{}
	for _, name := range []string{"fetch", "publish"} {
		steps["ko://github.com/drogue-iot/ajour/cmd/"+name] = append(append([]string{}, o.Step...), name)
	}
	return runner.Open(runner.Options{
		Dir: o.Dir, Catalog: c, Steps: steps, Volumes: o.Credentials, Builders: o.Builders, BuilderEnv: o.BuilderEnv, Engine: o.Engine,
		Parallel: o.Parallel, Keep: tekton.Keeps, Send: events.Send, Log: o.Log,
	})
}

// credentials lets in the bearers of the issuer's tokens, and the services with
// a secret that no one else knows, as an administrator.
func (p *process) credentials(secret string) registry.Credentials {
	return registry.Credentials{
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
	return Session{URL: p.url, Issuer: p.issuer.URL(), Prefix: p.prefix, Token: p.issuer.Sign(claims, nil), PID: os.Getpid()}
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
