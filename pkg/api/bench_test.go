// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api_test

import (
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
