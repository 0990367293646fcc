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
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/publish"
	"github.com/drogue-iot/ajour/pkg/publish/hawkbit/hawkbittest"
)

const gatewayToken = "ajour-test-gateway"

// server is a hawkBit to test with.
type server struct{ url, user, password string }

// each runs a test with every server that there is.
func each(t *testing.T, test func(*testing.T, server)) {
	t.Helper()
	env := func(name, fallback string) string {
		if v := os.Getenv(name); v != "" {
			return v
		}
		return fallback
	}
	if url := os.Getenv("HAWKBIT_URL"); url != "" {
		s := server{strings.TrimSuffix(url, "/"), env("HAWKBIT_USER", "admin"), env("HAWKBIT_PASSWORD", "admin")}
		s.prepare(t)
		test(t, s)
		return
	}
	for _, g := range []hawkbittest.Generation{hawkbittest.V0, hawkbittest.V1} {
		t.Run(string(g), func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(hawkbittest.New(hawkbittest.Options{Generation: g}))
			t.Cleanup(srv.Close)
			s := server{srv.URL, "admin", "admin"}
			s.prepare(t)
			test(t, s)
		})
	}
}

// prepare lets the update server in.
func (s server) prepare(t *testing.T) {
	t.Helper()
	for key, value := range map[string]any{"authentication.gatewaytoken.enabled": true, "authentication.gatewaytoken.key": gatewayToken} {
		if status, body := s.manage(t, http.MethodPut, "/rest/v1/system/configs/"+key, map[string]any{"value": value}); status/100 != 2 {
			t.Fatalf("%d %s", status, body)
		}
	}
}

func (s server) manage(t *testing.T, method, path string, body any) (int, string) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(s.user, s.password)
	req.Header.Set("Content-Type", "application/json")
	return send(t, req)
}

func send(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(data)
}

// device does what the update server does over DDI (contract 7.1).
type device struct {
	t          *testing.T
	server     server
	controller string
}

func (d device) call(method, url string, body any) (int, string) {
	d.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		d.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(d.t.Context(), method, url, bytes.NewReader(data))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "GatewayToken "+gatewayToken)
	req.Header.Set("Accept", "application/hal+json")
	req.Header.Set("Content-Type", "application/json")
	return send(d.t, req)
}

// update is what a device is told to install.
type update struct{ Name, Version, Content string }

// poll returns the update that is offered and the URL of its deployment, "" for none.
func (d device) poll() (update, string) {
	d.t.Helper()
	_, body := d.call(http.MethodGet, d.server.url+"/DEFAULT/controller/v1/"+d.controller, nil)
	var offer struct {
		Links map[string]struct{ Href string } `json:"_links"`
	}
	if err := json.Unmarshal([]byte(body), &offer); err != nil {
		d.t.Fatal(err, body)
	}
	at := offer.Links["deploymentBase"].Href
	if at == "" {
		return update{}, ""
	}
	_, body = d.call(http.MethodGet, at, nil)
	var found struct {
		Deployment struct {
			Chunks []struct {
				Name, Version string
				Artifacts     []struct {
					Size  int64
					Links map[string]struct{ Href string } `json:"_links"`
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &found); err != nil {
		d.t.Fatal(err, body)
	}
	if len(found.Deployment.Chunks) != 1 || len(found.Deployment.Chunks[0].Artifacts) != 1 { // HB-1
		d.t.Fatalf("not one module with one artifact: %s", body)
	}
	chunk := found.Deployment.Chunks[0]
	status, content := d.call(http.MethodGet, chunk.Artifacts[0].Links["download-http"].Href, nil)
	if status != http.StatusOK || int64(len(content)) != chunk.Artifacts[0].Size {
		d.t.Fatalf("download: %d, %d bytes of %d", status, len(content), chunk.Artifacts[0].Size)
	}
	at, _, _ = strings.Cut(at, "?")
	return update{chunk.Name, chunk.Version, content}, at
}

func (d device) install(at string) {
	d.t.Helper()
	status, body := d.call(http.MethodPost, at+"/feedback", map[string]any{
		"status": map[string]any{"execution": "closed", "result": map[string]any{"finished": "success"}, "details": []string{"done"}},
	})
	if status != http.StatusOK {
		d.t.Fatalf("feedback: %d %s", status, body)
	}
}

// publisher publishes firmware for one controller.
type publisher struct {
	t       *testing.T
	options publish.HawkbitOptions
}

func (s server) publisher(t *testing.T) publisher {
	t.Helper()
	credentials := t.TempDir()
	for file, content := range map[string]string{"url": s.url, "user": s.user, "password": s.password} {
		if err := os.WriteFile(filepath.Join(credentials, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	name := "ajour-test-" + strings.ToLower(rand.Text()[:12])
	return publisher{t, publish.HawkbitOptions{
		Firmware: publish.Firmware{Root: t.TempDir(), Artifact: "fw.bin"}, Name: name, Controller: name, Credentials: credentials, Log: t.Output(),
	}}
}

func (p publisher) device(s server) device { return device{p.t, s, p.options.Controller} }

func (p publisher) publish(ctx context.Context, version, content string) (publish.HawkbitResult, error) {
	o := p.options
	o.Version = version
	if err := os.WriteFile(filepath.Join(o.Root, o.Artifact), []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return publish.Hawkbit(ctx, o)
}

func (p publisher) mustPublish(version, content string) publish.HawkbitResult {
	p.t.Helper()
	r, err := p.publish(p.t.Context(), version, content)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

func TestTheUpdateServerReadsTheSameBytesAndVersion(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s server) {
		p := s.publisher(t)
		content := strings.Repeat("firmware \x00\xff", 10_000)
		r := p.mustPublish("4f1c2ab", content)
		if r.Set == 0 || r.Action == 0 || r.Size != int64(len(content)) {
			t.Errorf("%+v", r)
		}
		got, at := p.device(s).poll()
		if diff := cmp.Diff(update{p.options.Name, "4f1c2ab", content}, got); diff != "" {
			t.Error(diff)
		}
		p.device(s).install(at)
		if got, _ := p.device(s).poll(); got != (update{}) {
			t.Errorf("after it was installed, %q is offered", got.Version)
		}
	})
}

func TestPublishingAgainChangesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s server) {
		p := s.publisher(t)
		first := p.mustPublish("1", "one")
		if diff := cmp.Diff(first, p.mustPublish("1", "one")); diff != "" {
			t.Error("while it is on its way:", diff)
		}
		_, at := p.device(s).poll()
		p.device(s).install(at)
		again := p.mustPublish("1", "one")
		if again.Set != first.Set || again.Action != 0 {
			t.Errorf("after it was installed: %+v, was %+v", again, first)
		}
	})
}

// TestANewBuildReplacesOneThatIsOnItsWay: without a cancellation for the device,
// which the update server would never answer (HB-2).
func TestANewBuildReplacesOneThatIsOnItsWay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s server) {
		p := s.publisher(t)
		p.mustPublish("1", "one")
		p.mustPublish("2", "two")
		got, at := p.device(s).poll()
		if diff := cmp.Diff(update{p.options.Name, "2", "two"}, got); diff != "" {
			t.Error(diff)
		}
		p.device(s).install(at)
		p.mustPublish("1", "one") // back to the former one
		if got, _ := p.device(s).poll(); got.Version != "1" || got.Content != "one" {
			t.Errorf("going back offers %+v", got)
		}
	})
}

func TestADeviceThatPolledBeforeIsServed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s server) {
		p := s.publisher(t)
		if got, _ := p.device(s).poll(); got != (update{}) {
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
	each(t, func(t *testing.T, s server) {
		p := s.publisher(t)
		p.mustPublish("1", "one")
		_, err := p.publish(t.Context(), "1", "other")
		if want := fmt.Sprintf("Failed publishing to hawkBit: version 1 of %s is there with other bytes", p.options.Name); err == nil || !strings.HasPrefix(err.Error(), want) {
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
	each(t, func(t *testing.T, s server) {
		for _, odd := range []string{`%s*`, `%s;name==*`, `%s",("x`, `%s é/ü`, `%s\`, `%s+&=#?`} {
			p := s.publisher(t)
			p.mustPublish("1", "plain") // its name is the beginning of the odd one
			o := s.publisher(t)
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
