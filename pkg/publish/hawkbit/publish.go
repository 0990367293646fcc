// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
	client "github.com/drogue-iot/ajour/pkg/hawkbit"
	"github.com/drogue-iot/ajour/pkg/internal/proxy"
	"github.com/drogue-iot/ajour/pkg/internal/transport"
	"github.com/drogue-iot/ajour/pkg/publish/artifact"
)

// filename is that of the firmware in its module. Names with other characters are
// stored, but not always delivered.
const filename = "firmware.bin"

// Options say what to publish, and to whom.
type Options struct {
	artifact.Firmware
	// Name is that of the software module and of the distribution set.
	Name string
	// Application is whose firmware it is: the vendor of the module. None if it is empty.
	Application string
	// Controller is the target that gets the firmware.
	Controller string
	// Credentials is a folder with the files "url", and "user" and "password" or "token".
	Credentials string
	// TrustedCA is a file of CA certificates to trust besides those of the system.
	TrustedCA string
	// Proxies are what connections go through.
	Proxies proxy.Settings
	// Patience is how long to wait for a hawkBit that is away, three minutes if 0.
	Patience time.Duration
	// Log receives a line per step.
	Log io.Writer
}

// Result is what was published.
type Result struct {
	// Set is the id of the distribution set, Action that of its way to the target: 0 if
	// the target had the set installed already.
	Set, Action int64
	// Size and SHA256 are those of the firmware.
	Size   int64
	SHA256 string
}

// Publish makes a software module of the firmware, a distribution set of that, and
// assigns it to the controller (contract 7.2). Each step looks first for what an
// earlier try has done, so that it can be repeated from any point.
//
// Its errors are [*build.StepError] with one of the reasons ArtifactNotFound,
// ArtifactInvalid or HawkbitPushFailed.
func Publish(ctx context.Context, o Options) (Result, error) {
	a, err := o.Open()
	if err != nil {
		return Result{}, err
	}
	defer a.Close()
	c, err := o.client()
	if err != nil {
		return Result{}, explain(err)
	}
	p := &publication{o, c, a}
	r, err := p.push(ctx)
	if err != nil {
		if changed := a.Unchanged(); changed != nil {
			return Result{}, changed
		}
		return Result{}, explain(err)
	}
	return r, nil
}

var errNoHawkbit = errors.New(
	"this installation has no hawkBit: its address and credentials belong into the Secret hawkbit-config",
)

func (o Options) client() (*client.Client, error) {
	if o.Credentials == "" {
		return nil, errNoHawkbit
	}
	values := map[string]string{}
	for _, name := range []string{"url", "user", "password", "token"} {
		var err error
		if values[name], err = transport.ReadOptional(filepath.Join(o.Credentials, name)); err != nil {
			return nil, err
		}
	}
	if values["url"] == "" {
		return nil, errNoHawkbit
	}
	base, err := transport.New(o.TrustedCA, o.Proxies)
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{
		URL:      values["url"],
		User:     values["user"],
		Password: values["password"],
		Token:    values["token"],
		HTTP:     &http.Client{Transport: base},
		Patience: o.Patience,
	})
}

// publication is one push while it is under way.
type publication struct {
	Options
	hawkbit  *client.Client
	firmware *artifact.File
}

// refusal is a state of hawkBit that the build cannot be published into.
type refusal string

func (r refusal) Error() string { return string(r) }

func (p *publication) push(ctx context.Context) (r Result, err error) {
	// The target comes first: one that hawkBit refuses leaves nothing behind.
	if err := p.hawkbit.EnsureTarget(ctx, p.Controller); err != nil {
		return r, during{"read or create the target", err}
	}
	module, err := p.module(ctx)
	if err != nil {
		return r, during{"read or create the software module", err}
	}
	if err := p.upload(ctx, module); err != nil {
		return r, during{"upload to the software module", err}
	}
	set, err := p.set(ctx, module)
	if err != nil {
		return r, during{"read or create the distribution set", err}
	}
	action, err := p.assign(ctx, set)
	if err != nil {
		return r, during{"assign the distribution set to the target", err}
	}
	fmt.Fprintf(p.Log, "assigned %s:%s to %s\n", p.Name, p.Version, p.Controller)
	return Result{Set: set, Action: action, Size: p.firmware.Size, SHA256: p.firmware.SHA256}, nil
}

// during is a failure while something was done, which a message names where hawkBit does not.
type during struct {
	what string
	err  error
}

func (d during) Error() string { return d.err.Error() }
func (d during) Unwrap() error { return d.err }

// module finds or makes the software module.
func (p *publication) module(ctx context.Context) (int64, error) {
	find := func() (int64, bool, error) {
		m, found, err := p.hawkbit.FindModule(ctx, p.Name, p.Version)
		return m.ID, found, err
	}
	return p.ensure("software module", find, func() (int64, error) {
		m, err := p.hawkbit.CreateModule(ctx, p.Name, p.Version, p.Application)
		return m.ID, err
	})
}

// set finds or makes the distribution set, and makes sure that it delivers the module
// and nothing else (HB-1).
func (p *publication) set(ctx context.Context, module int64) (int64, error) {
	var set client.Set
	find := func() (_ int64, found bool, err error) {
		set, found, err = p.hawkbit.FindSet(ctx, p.Name, p.Version)
		return set.ID, found, err
	}
	id, err := p.ensure("distribution set", find, func() (_ int64, err error) {
		set, err = p.hawkbit.CreateSet(ctx, p.Name, p.Version, module)
		return set.ID, err
	})
	if err != nil {
		return 0, err
	}
	if len(set.Modules) != 1 || set.Modules[0].ID != module || !set.Complete {
		return 0, refusal(
			fmt.Sprintf(
				"the distribution set %s:%s is another one than of this firmware: push a new commit, or remove it",
				p.Name, p.Version,
			),
		)
	}
	return id, nil
}

// ensure finds something, or makes it. What cannot be made and is not found was
// deleted: hawkBit keeps the name then (HBW-71).
func (p *publication) ensure(
	what string, find func() (int64, bool, error), create func() (int64, error),
) (int64, error) {
	if id, found, err := find(); err != nil || found {
		return id, err
	}
	id, err := create()
	if !client.Is(err, http.StatusConflict) {
		if err == nil {
			fmt.Fprintf(p.Log, "made %s %s:%s\n", what, p.Name, p.Version)
		}
		return id, err
	}
	id, found, err := find()
	if err == nil && !found {
		err = refusal(
			fmt.Sprintf(
				"the %s %s:%s was deleted, and its name cannot be used again: push a new commit", what, p.Name,
				p.Version,
			),
		)
	}
	return id, err
}

// upload makes sure that the module has the firmware, and nothing else (HB-1, HB-7).
func (p *publication) upload(ctx context.Context, module int64) error {
	there, err := p.uploaded(ctx, module)
	if err != nil || there {
		return err
	}
	fmt.Fprintf(p.Log, "uploading %s (%d bytes)\n", filename, p.firmware.Size)
	a, err := p.hawkbit.Upload(ctx, module, filename, p.firmware.SHA256, p.firmware.Size, p.firmware.Reader)
	switch {
	// An earlier try of this upload, or a second build, which has assigned it meanwhile.
	case client.Is(err, http.StatusConflict, http.StatusLocked):
		if there, err = p.uploaded(ctx, module); err == nil && !there {
			err = p.conflict()
		}
	case err == nil && a.Hashes.SHA256 != p.firmware.SHA256:
		err = p.conflict()
	}
	return err
}

func (p *publication) uploaded(ctx context.Context, module int64) (bool, error) {
	list, err := p.hawkbit.Artifacts(ctx, module)
	if err != nil || len(list) == 0 {
		return false, err
	}
	if a := list[0]; len(list) == 1 && a.Filename == filename && a.Size == p.firmware.Size &&
		a.Hashes.SHA256 == p.firmware.SHA256 {
		return true, nil
	}
	return false, p.conflict()
}

func (p *publication) conflict() error {
	return refusal(
		fmt.Sprintf(
			"version %s of %s is there with other bytes, and cannot be replaced: push a new commit, "+
				"or let the builder make the same of the same source",
			p.Version,
			p.Name,
		),
	)
}

// explain reports a failure by hawkBit's own message.
func explain(err error) error {
	message := err.Error()
	var answer *client.Error
	var doing during
	var broken *url.Error
	switch {
	case client.Is(err, http.StatusUnauthorized):
		message = "it refuses the credentials of the installation"
	case client.Is(err, http.StatusForbidden) && errors.As(err, &doing):
		message = "the installation's user may not " + doing.what + ": give it the rights that docs/install.md lists"
	case errors.As(err, &answer):
		message = answer.Message
		switch answer.Status / 100 {
		case 3:
			message += ": that belongs into url of the Secret hawkbit-config"
		case 5:
			message = answer.Error()
		}
	case errors.As(err, &broken) && transport.Untrusted(err):
		message = broken.Err.Error() + ": add the CA of hawkBit to the ConfigMap trusted-ca of the installation"
	case errors.As(err, &broken):
		message = broken.Err.Error()
	}
	return &build.StepError{
		Reason:  build.ReasonHawkbitPushFailed,
		Message: build.Clean("Failed publishing to hawkBit: " + message),
		Err:     fmt.Errorf("publish to hawkBit: %w", err),
	}
}
