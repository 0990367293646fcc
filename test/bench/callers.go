// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/auth"
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/local/issuer"
)

// What is promised to others while one caller makes many calls.
const (
	manyCalls      = 10_000
	manyCallsIn    = 10 * time.Second
	maxOthersRatio = 2.0
	maxGrowth      = 64 << 20
)

// behind is what an api talks to, in memory: one application, its builds, and a broker that takes
// everything.
type behind struct {
	mu   sync.Mutex
	sent map[string]bool
}

const (
	applicationOfCallers = "greenhouse"
	descriptionOfCallers = `{"container":{"image":"greenhouse:1","build":{` +
		`"image":"b","artifact":{"path":"f"},"source":{"git":{"uri":"https://h/r"}}}}}`
)

type describedObject struct{}

func (describedObject) UID() string                       { return "uid" }
func (describedObject) Firmware() json.RawMessage         { return json.RawMessage(descriptionOfCallers) }
func (describedObject) Status(string) json.RawMessage     { return nil }
func (describedObject) SetStatus(string, json.RawMessage) {}

func (*behind) Object(context.Context, build.ObjectRef) (build.Object, error) {
	return describedObject{}, nil
}

func (*behind) ObjectAs(context.Context, string, build.ObjectRef) (build.Object, error) {
	return describedObject{}, nil
}
func (*behind) MayWriteAs(context.Context, string, build.ObjectRef) (bool, error) { return true, nil }
func (*behind) ApplicationsAs(context.Context, string) ([]build.Listed, error) {
	return []build.Listed{{Object: build.ObjectRef{Application: applicationOfCallers}, UID: "uid", Described: true}}, nil
}
func (*behind) DevicesAs(context.Context, string, string) ([]build.Listed, error) { return nil, nil }

func (*behind) Find(
	string,
) (build.Run, error) {
	return build.Run{}, build.ErrNotFound
}

func (*behind) Get(
	context.Context,
	string,
) (build.Run, error) {
	return build.Run{}, build.ErrNotFound
}
func (*behind) Log(context.Context, string, io.Writer, bool) error { return nil }

func (*behind) List(build.Query) (runs []build.Run) {
	for i := range 100 {
		runs = append(runs, build.Run{
			ID: fmt.Sprintf("0190f2a4-6c3b-7a57-8f0e-%012d", i), Object: build.ObjectRef{Application: applicationOfCallers},
			Status: build.Status{Phase: build.Succeeded, Reason: build.ReasonSucceeded},
		})
	}
	return runs
}

func (b *behind) Send(_ context.Context, ev cloudevents.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent[ev.ID()] = true
	return nil
}

// callers measures what others notice while one caller makes 10,000 calls in ten seconds: half of
// them triggers. What was accepted has to have been sent.
func (b *bench) callers(ctx context.Context) error {
	const name = "others beside 10,000 calls, p99"
	if b.skips(name) {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var iss *issuer.Issuer
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { iss.ServeHTTP(w, r) }))
	defer tokens.Close()
	var err error
	if iss, err = issuer.New(tokens.URL); err != nil {
		return err
	}
	verifier := auth.New(auth.Options{Issuer: tokens.URL, Audience: issuer.Client})
	go func() { _ = verifier.Run(ctx) }() // ends with the context
	for verifier.Ready() != nil {
		time.Sleep(10 * time.Millisecond)
	}
	back := &behind{sent: map[string]bool{}}
	srv := httptest.NewServer(api.New(
		api.Deps{Verifier: verifier, Registry: back, Objects: back, State: back, Runs: back, Sender: back},
		api.Options{
			Log: slog.New(
				slog.DiscardHandler,
			),
			Clock:  time.Now,
			NewID:  func() string { return uuid.Must(uuid.NewV7()).String() },
			Needs:  api.NeedsBoth,
			Limits: api.Limits{Calls: 50, CallerBuilds: 60, ApplicationBuilds: 60},
		},
	))
	defer srv.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	call := func(token, method, path string) (status int, id string, err error) {
		req, err := http.NewRequestWithContext(ctx, method, srv.URL+api.Prefixes[0]+path, nil)
		if err != nil {
			return 0, "", err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := client.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer res.Body.Close()
		var answer struct{ ID string }
		if json.NewDecoder(res.Body).Decode(&answer) != nil { // of a list
			_, _ = io.Copy(io.Discard, res.Body)
		}
		return res.StatusCode, answer.ID, nil
	}
	others := func() (time.Duration, error) { // 20 calls a second, each from the time that it is due
		token := iss.Token("ada", auth.TriggerRole)
		var times []time.Duration
		tick := time.NewTicker(manyCallsIn / 200)
		defer tick.Stop()
		for range 200 {
			due := <-tick.C
			if status, _, err := call(token, http.MethodGet, "/builds"); err != nil || status != http.StatusOK {
				return 0, fmt.Errorf("others are answered %d: %w", status, err)
			}
			times = append(times, time.Since(due))
		}
		slices.Sort(times)
		return times[len(times)*99/100], nil
	}
	usual, err := others()
	if err != nil {
		return err
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var accepted sync.Map
	var count, refused atomic.Int64
	var g errgroup.Group
	g.Go(func() error {
		token := iss.Token("mallory", auth.TriggerRole)
		var calls errgroup.Group
		calls.SetLimit(64)
		tick := time.NewTicker(manyCallsIn / 1000)
		defer tick.Stop()
		for i := range manyCalls {
			if i%10 == 0 {
				<-tick.C
			}
			calls.Go(func() error {
				method, path := http.MethodGet, "/builds"
				if i%2 == 0 {
					method, path = http.MethodPost, "/apps/"+applicationOfCallers+"/trigger"
				}
				status, id, err := call(token, method, path)
				switch status {
				case http.StatusTooManyRequests:
					refused.Add(1)
				case http.StatusAccepted:
					accepted.Store(id, true)
					count.Add(1)
				}
				return err
			})
		}
		return calls.Wait()
	})
	beside, err := others()
	if err != nil {
		return err
	}
	if err := g.Wait(); err != nil {
		return err
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	lost := 0
	accepted.Range(func(id, _ any) bool {
		if !back.sent[id.(string)] {
			lost++
		}
		return true
	})
	ratio := float64(beside) / float64(usual)
	fmt.Fprintf(
		b.out, "%-34s %5d %8.1fms %8.1fms %7.2f  %.1f%s\n", name, 200, ms(beside), ms(usual), ratio, maxOthersRatio,
		verdict(ratio <= maxOthersRatio),
	)
	growth := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	fmt.Fprintf(
		b.out,
		"%-34s %5d %8.1fMB %10s %7s  %d MB%s\n",
		"  heap that they left",
		manyCalls,
		float64(growth)/(1<<20),
		"",
		"",
		maxGrowth>>20,
		verdict(growth <= maxGrowth),
	)
	fmt.Fprintf(
		b.out,
		"%-34s %5d of %d refused, %d builds accepted, %d of them lost%s\n",
		"  calls of the one",
		refused.Load(),
		manyCalls,
		count.Load(),
		lost,
		verdict(lost == 0),
	)
	return nil
}
