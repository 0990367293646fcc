// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

// BenchmarkLists is how long lists take that are made of 10,000 builds of 500 objects.
func BenchmarkLists(b *testing.B) {
	state := tekton.NewStore()
	var list []build.Run
	for n := range 10_000 {
		r := runs()[0]
		r.ID = fmt.Sprintf("0190f2a4-6c3b-7a57-8f0e-%012d", n)
		r.Name = build.RunName(r.ID)
		r.Object.Device = fmt.Sprintf("d-%d", n%500)
		r.Requested = now.Add(time.Duration(n) * time.Second)
		r.Started, r.Completed = r.Requested, r.Requested.Add(time.Minute)
		for _, name := range []string{"fetch-source", "build-firmware", "publish"} {
			r.Steps = append(
				r.Steps,
				build.Step{Name: name, State: build.StepSucceeded, Started: r.Started, Completed: r.Completed},
			)
		}
		list = append(list, r)
	}
	state.Replace(list)
	w := newWorld()
	w.state = state
	h := w.handler()
	for _, path := range []string{"/", "/builds", "/builds?status=Failed", "/builds?application=app&device=d-7", "/builds?limit=10000"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, api.Prefixes[0]+path, http.NoBody)
				r.Header.Set("Authorization", "Bearer read")
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, r)
				if rec.Code != http.StatusOK {
					b.Fatal(rec.Code)
				}
				_, _ = io.Copy(io.Discard, rec.Body)
			}
		})
	}
}

// pages is a registry of an application with many devices, which costs nothing.
type pages struct {
	api.Registry

	app     build.Object
	devices []build.Object
}

func (p pages) ObjectAs(context.Context, string, build.ObjectRef) (build.Object, error) {
	return p.app, nil
}

func (p pages) DevicesPageAs(
	_ context.Context, _ string, page build.DevicesPage, f func(int, build.ObjectRef, build.Object) error,
) (int, error) {
	end := min(page.Offset+page.Limit, len(p.devices))
	for n := page.Offset; n < end; n++ {
		if err := f(
			n-page.Offset,
			build.ObjectRef{Application: "app", Device: fmt.Sprintf("d-%d", n)},
			p.devices[n],
		); err != nil {
			return 0, err
		}
	}
	return end - page.Offset, nil
}

// BenchmarkDevices is how long a page of 100 devices takes beyond the registry, and the counts of all
// 10,000, of which one in ten has a description of its own.
func BenchmarkDevices(b *testing.B) {
	p := pages{app: object{good, ""}}
	for n := range 10_000 {
		d := reporting{status: `{"current":"0","target":"1","conditions":[` + inSync + `]}`}
		if n%10 == 0 {
			d.section = good
		}
		p.devices = append(p.devices, d)
	}
	w := newWorld()
	w.registry, w.state = p, tekton.NewStore()
	for _, path := range []string{"/apps/app/devices?limit=100&cursor=5000", "/apps/app/devices?state=Unknown", "/apps/app/fleet"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, api.Prefixes[0]+path, http.NoBody)
				r.Header.Set("Authorization", "Bearer read")
				rec := httptest.NewRecorder()
				w.handler().ServeHTTP(rec, r)
				if rec.Code != http.StatusOK {
					b.Fatal(rec.Code)
				}
			}
		})
	}
}

// reporting is a device that has reported.
type reporting struct {
	object

	status string
}

func (r reporting) Status(section string) json.RawMessage {
	if section != "firmware" {
		return nil
	}
	return json.RawMessage(r.status)
}

func (r reporting) Firmware() json.RawMessage {
	if r.section == "" {
		return nil
	}
	return json.RawMessage(r.section)
}
