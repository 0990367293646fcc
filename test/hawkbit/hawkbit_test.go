// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package hawkbit publishes firmware to a hawkBit and reads it back as the update
// server of Drogue Ajour does.
//
// It uses a stand-in of two generations, or with HAWKBIT_URL a real server, whose
// Management API HAWKBIT_USER and HAWKBIT_PASSWORD may call ("admin" by default). Of
// that it enables the gateway token of the tenant, and leaves targets, modules
// and sets with names that begin with "ajour-test-".
package hawkbit

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/hawkbit/hawkbittest"
	"github.com/drogue-iot/ajour/pkg/publish/artifact"
	"github.com/drogue-iot/ajour/pkg/publish/hawkbit"
	"github.com/drogue-iot/ajour/test/devtest"
)

// each runs a test with every server that there is.
func each(t *testing.T, test func(*testing.T, devtest.Hawkbit)) {
	t.Helper()
	env := func(name, fallback string) string {
		if v := os.Getenv(name); v != "" {
			return v
		}
		return fallback
	}
	prepared := func(t *testing.T, s devtest.Hawkbit) {
		t.Helper()
		if err := s.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		test(t, s)
	}
	if url := os.Getenv("HAWKBIT_URL"); url != "" {
		prepared(
			t,
			devtest.Hawkbit{
				URL:      strings.TrimSuffix(url, "/"),
				User:     env("HAWKBIT_USER", "admin"),
				Password: env("HAWKBIT_PASSWORD", "admin"),
			},
		)
		return
	}
	for _, g := range []hawkbittest.Generation{hawkbittest.V0, hawkbittest.V1} {
		t.Run(string(g), func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(hawkbittest.New(hawkbittest.Options{Generation: g}))
			t.Cleanup(srv.Close)
			prepared(t, devtest.Hawkbit{URL: srv.URL, User: "admin", Password: "admin"})
		})
	}
}

// device is that of a publisher's controller.
type device struct {
	*testing.T
	devtest.Device
}

func (d device) poll() (devtest.Update, string) {
	d.Helper()
	u, at, err := d.Poll(d.Context())
	if err != nil {
		d.Fatal(err)
	}
	return u, at
}

func (d device) install(at string) {
	d.Helper()
	if err := d.Installed(d.Context(), at); err != nil {
		d.Fatal(err)
	}
}

// publisher publishes firmware for one controller.
type publisher struct {
	t       *testing.T
	options hawkbit.Options
}

func newPublisher(t *testing.T, s devtest.Hawkbit) publisher {
	t.Helper()
	credentials := t.TempDir()
	for file, content := range map[string]string{"url": s.URL, "user": s.User, "password": s.Password} {
		if err := os.WriteFile(filepath.Join(credentials, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	name := "ajour-test-" + strings.ToLower(rand.Text()[:12])
	return publisher{
		t,
		hawkbit.Options{
			Firmware: artifact.Firmware{
				Root:     t.TempDir(),
				Artifact: "fw.bin",
			},
			Name:        name,
			Controller:  name,
			Credentials: credentials,
			Log:         t.Output(),
		},
	}
}

func (p publisher) device(s devtest.Hawkbit) device {
	return device{p.t, devtest.Device{Hawkbit: s.URL, Controller: p.options.Controller}}
}

func (p publisher) publish(ctx context.Context, version, content string) (hawkbit.Result, error) {
	o := p.options
	o.Version = version
	if err := os.WriteFile(filepath.Join(o.Root, o.Artifact), []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return hawkbit.Publish(ctx, o)
}

func (p publisher) mustPublish(version, content string) hawkbit.Result {
	p.t.Helper()
	r, err := p.publish(p.t.Context(), version, content)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

func TestTheUpdateServerReadsTheSameBytesAndVersion(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s devtest.Hawkbit) {
		p := newPublisher(t, s)
		content := strings.Repeat("firmware \x00\xff", 10_000)
		r := p.mustPublish("4f1c2ab", content)
		if r.Set == 0 || r.Action == 0 || r.Size != int64(len(content)) {
			t.Errorf("%+v", r)
		}
		got, at := p.device(s).poll()
		if diff := cmp.Diff(devtest.Update{Name: p.options.Name, Version: "4f1c2ab", Content: content}, got); diff != "" {
			t.Error(diff)
		}
		p.device(s).install(at)
		if got, _ := p.device(s).poll(); got != (devtest.Update{}) {
			t.Errorf("after it was installed, %q is offered", got.Version)
		}
	})
}

func TestRepublishingChangesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s devtest.Hawkbit) {
		p := newPublisher(t, s)
		first := p.mustPublish("1", "one")
		if diff := cmp.Diff(first, p.mustPublish("1", "one")); diff != "" {
			t.Error("while it is on its way:", diff)
		}
		_, at := p.device(s).poll()
		p.device(s).install(at)
		second := p.mustPublish("1", "one")
		if second.Set != first.Set || second.Action != 0 {
			t.Errorf("after it was installed: %+v, was %+v", second, first)
		}
	})
}

// TestANewBuildReplacesOneThatIsOnItsWay: without a cancellation for the device,
// which the update server would never answer (HB-2).
func TestANewBuildReplacesOneThatIsOnItsWay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s devtest.Hawkbit) {
		p := newPublisher(t, s)
		p.mustPublish("1", "one")
		p.mustPublish("2", "two")
		got, at := p.device(s).poll()
		if diff := cmp.Diff(devtest.Update{Name: p.options.Name, Version: "2", Content: "two"}, got); diff != "" {
			t.Error(diff)
		}
		p.device(s).install(at)
		p.mustPublish("1", "one") // back to the former one
		if got, _ := p.device(s).poll(); got.Version != "1" || got.Content != "one" {
			t.Errorf("going back offers %+v", got)
		}
	})
}

// TestACancellationThatWasLeftIsEnded: somebody else, or a publish that died, asked the
// device to end the very action that is wanted.
func TestACancellationThatWasLeftIsEnded(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s devtest.Hawkbit) {
		p := newPublisher(t, s)
		first := p.mustPublish("1", "one")
		req, err := http.NewRequestWithContext(
			t.Context(), http.MethodDelete,
			fmt.Sprintf("%s/rest/v1/targets/%s/actions/%d", s.URL, p.options.Controller, first.Action), http.NoBody,
		)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(s.User, s.Password)
		if res, err := http.DefaultClient.Do(req); err != nil || res.StatusCode/100 != 2 {
			t.Fatal(res, err)
		}
		p.mustPublish("1", "one")
		if got, _ := p.device(s).poll(); got.Content != "one" {
			t.Errorf("offered is %+v", got)
		}
	})
}

func TestADeviceThatPolledBeforeIsServed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s devtest.Hawkbit) {
		p := newPublisher(t, s)
		if got, _ := p.device(s).poll(); got != (devtest.Update{}) {
			t.Errorf("offered is %+v", got)
		}
		p.mustPublish("1", "one")
		if got, _ := p.device(s).poll(); got.Content != "one" {
			t.Errorf("offered is %+v", got)
		}
	})
}

func TestOtherBytesOfTheSameVersionAreRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s devtest.Hawkbit) {
		p := newPublisher(t, s)
		p.mustPublish("1", "one")
		_, err := p.publish(t.Context(), "1", "other")
		if want := fmt.Sprintf(
			"Failed publishing to hawkBit: version 1 of %s is there with other bytes",
			p.options.Name,
		); err == nil ||
			!strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v", err)
		}
		if got, _ := p.device(s).poll(); got.Content != "one" {
			t.Errorf("offered is %+v", got)
		}
	})
}

// TestNamesMeanNothingButThemselves: neither a wildcard nor the syntax of a query.
func TestNamesMeanNothingButThemselves(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s devtest.Hawkbit) {
		for _, odd := range []string{`%s*`, `%s;name==*`, `%s",("x`, `%s é/ü`, `%s\`, `%s+&=#?`} {
			p := newPublisher(t, s)
			p.mustPublish("1", "plain") // its name is the beginning of the odd one
			o := newPublisher(t, s)
			o.options.Name = fmt.Sprintf(odd, p.options.Name)
			for range 2 {
				o.mustPublish("1", "odd")
			}
			if got, _ := o.device(s).poll(); got.Name != o.options.Name || got.Content != "odd" {
				t.Errorf("%q: offered is %+v", o.options.Name, got)
			}
		}
	})
}
