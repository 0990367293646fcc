// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/internal/proxy"
	"github.com/drogue-iot/ajour/pkg/local/runner"
	"github.com/drogue-iot/ajour/pkg/standalone"
)

// devFlags are the flags of "ajour dev".
type devFlags struct {
	listen, data, engine string
	registry             string
	plainHTTP            bool
	git, hawkbit, ca     string
	secrets, forges      string
	images, controllers  string
	builders, builderEnv []string
	parallel             int
	manual, verbose      bool
}

func newDev(env Env) *cobra.Command {
	f := &devFlags{}
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run all of Ajour on this machine",
		Long: `Runs all of Ajour in one process: the services, and embedded ones in place of
Knative, Tekton, the OCI registry, the OIDC issuer and the Drogue registry.

Builder images run in podman or docker if one of them is installed. An image that
is mapped with --builder runs as that program of this machine instead, as you, and
with the files that you can read: use it for sources that you trust.

State is in the folder that --data names, else it is gone with the process.
A build that was running when the process ended starts over with the next one.
The token that is printed is valid for 12 hours, and for this process only. Builds run
as you: others on this machine get no token, since the password that the issuer asks for
is in a file of yours (in the user's configuration folder, below ajour).

Credentials are folders with a file for each key of the Secret that an installation
has, and are given to the one step that needs them: --git-credentials with
.git-credentials, ssh-privatekey and known_hosts; --hawkbit with url, user and
password. Those of the registry that --registry names are docker's: config.json in
the folder DOCKER_CONFIG. --trusted-ca is a folder with the file ca.crt.

Builds connect through the proxies that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name.

Applications have Secrets of their own, which are the folders in the one that --secrets
names: git.APP, registry.APP and hawkbit.APP in place of the above, and env.APP with a
file for each key that build.secrets of a description names. The folder webhooks beside them
has a file for each application, with what "ajour hook APP" prints.

--commit-status is a folder with the file forges, as in gitea=https://git.example.org, and a
file for each host with a token that may set the status of commits.`,
		Example: `  ajour dev
  ajour dev --data ~/ajour --builder golang=go
  ajour dev --builder golang=go --builder-env GOCACHE=$(go env GOCACHE)`,
		Args: args(0, 0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, env) },
	}
	f.define(cmd.Flags())
	return cmd
}

// define adds the flags of the command.
func (f *devFlags) define(flags *pflag.FlagSet) {
	flags.StringVar(
		&f.listen, "listen", "127.0.0.1:8080", "`address` of this machine to serve at; port 0 takes any free one",
	)
	flags.StringVar(&f.data, "data", "", "`folder` that keeps the state (default: a temporary one)")
	flags.StringArrayVar(
		&f.builders, "builder", nil, "run the builder `IMAGE=PROGRAM` as a program of this machine; repeatable",
	)
	flags.StringArrayVar(
		&f.builderEnv, "builder-env", nil, "add `NAME=VALUE` to the environment of such programs; repeatable",
	)
	flags.StringVar(&f.engine, "engine", "auto", "what runs builder images: auto, podman, docker or none")
	flags.StringVar(
		&f.registry, "registry", "",
		"publish to the OCI registry with this `prefix`, as in quay.io/acme/ (default: the embedded one)",
	)
	flags.BoolVar(&f.plainHTTP, "registry-plain-http", false, "speak HTTP to that registry")
	flags.StringVar(
		&f.images, "image-policy", string(build.OwnNames),
		"application: publish to images of an application's own name and below; any: to every image",
	)
	flags.StringVar(&f.controllers, "controller-policy", string(build.OwnNames), "the same for targets of hawkBit")
	flags.StringVar(&f.git, "git-credentials", "", "`folder` with the credentials for private repositories")
	flags.StringVar(&f.hawkbit, "hawkbit", "", "`folder` with the address and the credentials of hawkBit")
	flags.StringVar(&f.secrets, "secrets", "", "`folder` with a folder for each Secret of an application")
	flags.StringVar(&f.forges, "commit-status", "", "`folder` with the forges whose commits show their builds")
	flags.StringVar(&f.ca, "trusted-ca", "", "`folder` with CA certificates to trust, too")
	flags.IntVar(&f.parallel, "parallel", 2, "`number` of builds that run at the same time")
	flags.BoolVar(&f.manual, "manual", false, "build on calls only, not when a description changes")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "log what happens, not only what goes wrong")
}

func (f *devFlags) run(cmd *cobra.Command, env Env) (err error) {
	o, err := f.options(env)
	if err != nil {
		return err
	}
	if err := o.Proxies.Validate(); err != nil {
		o.Log.WarnContext(cmd.Context(), "builds do without the proxies of HTTPS_PROXY and HTTP_PROXY", "error", err)
		o.Proxies = proxy.Settings{}
	}
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "ajour-dev-"); err != nil {
			return fmt.Errorf("make data folder: %w", err)
		}
		defer func() { err = errors.Join(err, runner.RemoveAll(o.Engine, o.Dir)) }()
	}
	forget := func() {}
	defer func() { forget() }()
	defer context.AfterFunc(
		cmd.Context(),
		func() { fmt.Fprintln(env.Stderr, "ajour: ending, a further Ctrl-C ends it at once") },
	)()
	err = standalone.Run(cmd.Context(), o, func(s standalone.Session) (err error) {
		if forget, err = writeSession(env.ConfigDir, s); err != nil {
			forget = func() {}
			return err
		}
		fmt.Fprint(env.Stdout, welcome(s, env.Program, f.data))
		return nil
	})
	if err == nil {
		fmt.Fprintln(env.Stderr, "ajour: ended")
	}
	return err
}

func (f *devFlags) options(env Env) (standalone.Options, error) {
	level := slog.LevelWarn
	if f.verbose {
		level = slog.LevelInfo
	}
	o := standalone.Options{
		Dir:               f.data,
		Listen:            f.listen,
		Builders:          map[string]string{},
		BuilderEnv:        f.builderEnv,
		Registry:          f.registry,
		RegistryPlainHTTP: f.plainHTTP,
		Proxies:           proxy.OfShell(),
		Parallel:          f.parallel,
		IgnoreChanges:     f.manual,
		Traces:            env.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "",
		Log:               slog.New(slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: level})),
	}
	if err := loopback(f.listen); err != nil {
		return o, err
	}
	if strings.Contains(f.registry, "://") || f.registry != "" && !strings.HasSuffix(f.registry, "/") {
		return o, &usageError{fmt.Errorf(
			"--registry %q: write a prefix without a scheme and with a slash at its end, as in quay.io/acme/", f.registry,
		)}
	}
	var err error
	if o.Policy, err = f.policy(); err != nil {
		return o, err
	}
	if err := f.credentials(&o, env); err != nil {
		return o, err
	}
	if f.parallel < 1 {
		return o, &usageError{fmt.Errorf("--parallel %d: use 1 or more", f.parallel)}
	}
	for _, b := range f.builders {
		image, program, ok := strings.Cut(b, "=")
		if !ok || image == "" || program == "" {
			return o, &usageError{fmt.Errorf("--builder %q: write IMAGE=PROGRAM", b)}
		}
		file, err := exec.LookPath(program)
		if err == nil { // a build starts in a folder of its own, which may have such a file, too
			file, err = filepath.Abs(file)
		}
		if err != nil {
			return o, fmt.Errorf("--builder %s: %w", b, err)
		}
		o.Builders[image] = file
	}
	for _, e := range f.builderEnv {
		if name, _, ok := strings.Cut(e, "="); !ok || name == "" {
			return o, &usageError{fmt.Errorf("--builder-env %q: write NAME=VALUE", e)}
		}
	}
	if o.Engine, err = findEngine(f.engine); err != nil {
		return o, err
	}
	o.Step, err = findStep(env.Program)
	return o, err
}

// findStep returns the path of the program that runs steps, which lies beside that of this process.
func findStep(program string) (string, error) {
	if program == "" {
		return "", errors.New("the path of this program is not known: call it by its path")
	}
	if file, err := filepath.EvalSymlinks(program); err == nil {
		program = file
	}
	file := filepath.Join(filepath.Dir(program), "ajour-step")
	if _, err := os.Stat(file); err != nil {
		return "", fmt.Errorf(
			"the program ajour-step is not beside this one: \"make build\" makes both: %w", err,
		)
	}
	return file, nil
}

func (f *devFlags) policy() (p build.Policy, err error) {
	for name, ownership := range map[string]struct {
		into *build.Ownership
		text string
	}{"image-policy": {&p.Images, f.images}, "controller-policy": {&p.Controllers, f.controllers}} {
		if err := ownership.into.UnmarshalText([]byte(ownership.text)); err != nil {
			return p, &usageError{fmt.Errorf("--%s: %w", name, err)}
		}
	}
	return p, nil
}

// loopback refuses an address that others can reach: the embedded issuer gives
// a token to anybody, and the embedded OCI registry takes what anybody pushes.
func loopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return &usageError{fmt.Errorf("--listen %q: write HOST:PORT, as in 127.0.0.1:8080", address)}
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return &usageError{
			fmt.Errorf(
				"--listen %q: use an address of this machine alone, such as 127.0.0.1:8080: what it serves has no access control",
				address,
			),
		}
	}
	return nil
}

// findEngine returns the path of the container engine, empty for none.
func findEngine(name string) (string, error) {
	switch name {
	case "none":
		return "", nil
	case "auto":
		for _, engine := range []string{"podman", "docker"} {
			if path, err := exec.LookPath(engine); err == nil && works(path) {
				return path, nil
			}
		}
		return "", nil
	case "podman", "docker":
		path, err := exec.LookPath(name)
		if err != nil {
			return "", fmt.Errorf("--engine %s: %w", name, err)
		}
		return path, nil
	default:
		return "", &usageError{fmt.Errorf("--engine %q: use auto, podman, docker or none", name)}
	}
}

// works reports whether an engine can be used: a client without its server, as
// docker often is, cannot.
func works(path string) bool {
	return exec.Command(path, "info").Run() == nil //nolint:noctx // it answers or fails at once
}

// welcome tells where everything is, and how to go on.
func welcome(s standalone.Session, program, data string) string {
	if data == "" {
		data = "temporary, gone at the end"
	}
	return fmt.Sprintf(`Ajour runs at %[1]s. Ctrl-C ends it.

  Console      %[7]s
  Builds       %[1]s/api/builds/v1alpha1
  Registry     %[1]s/api/registry/v1alpha1
  Artifacts    %[2]s (OCI)
  Issuer       %[3]s
  Data         %[5]s

Create an application with its build description (a new or changed description is
built at once, unless its triggers are ["manual"]):

  TOKEN=%[4]s

  curl %[1]s/api/registry/v1alpha1/apps -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '
  {"metadata": {"name": "demo"}, "spec": {"firmware": {"container": {"image": "demo:latest", "build": {
    "image": "BUILDER", "args": ["ARGUMENT"], "artifact": {"path": "firmware.bin"},
    "source": {"git": {"uri": "https://HOST/REPOSITORY.git", "rev": "main", "project": "."}}}}}}}'

Build it a second time, with curl or in a second terminal with this program:

  curl -X POST %[1]s/api/builds/v1alpha1/apps/demo/trigger -H "Authorization: Bearer $TOKEN"
  %[6]s trigger demo --wait

`, s.URL, s.Prefix, s.Issuer, s.Token, data, program, s.Console)
}
