// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
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
func (describedObject) Labels() map[string]string         { return nil }
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

func (*behind) EachApplicationAs(
	context.Context, string, string, func(build.ObjectRef, build.Object) error,
) error {
	return nil
}

func (*behind) DevicesPageAs(
	context.Context, string, build.DevicesPage, func(int, build.ObjectRef, build.Object) error,
) (int, error) {
	return 0, nil
}

func (*behind) SetFirmwareAs(
	context.Context, string, build.ObjectRef, func(build.Object) (json.RawMessage, error),
) error {
	return nil
}

func (b *behind) Each(q build.Query, f func(*build.Run)) {
	for _, r := range b.List(q) {
		f(&r)
	}
}

func (*behind) Watch(func(build.Run, bool)) (stop func()) { return func() {} }

func (*behind) Log(context.Context, string, build.LogOptions, func(string, io.Reader) error) error {
	return nil
}

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

// callers measures what others notice while one caller makes 10,000 calls in ten seconds, half of
// them triggers. What was accepted has to have been sent.
func (b *bench) callers(ctx context.Context) error {
	const name = "others beside 10,000 calls, p99"
	if b.skips(name) {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	i, err := startInstallation(ctx)
	if err != nil {
		return err
	}
	defer i.close()
	usual, err := i.others(ctx)
	if err != nil {
		return err
	}
	before := heap()
	var g errgroup.Group
	var m many
	g.Go(func() error { return m.call(ctx, i) })
	beside, err := i.others(ctx)
	if err := errors.Join(err, g.Wait()); err != nil {
		return err
	}
	growth, lost := heap()-before, 0
	m.accepted.Range(func(id, _ any) bool {
		if !i.behind.sent[id.(string)] {
			lost++
		}
		return true
	})
	ratio := float64(beside) / float64(usual)
	fmt.Fprintf(
		b.out, "%-34s %5d %8.1fms %8.1fms %7.2f  %.1f%s\n", name, otherCalls, ms(beside), ms(usual), ratio, maxOthersRatio,
		verdict(ratio <= maxOthersRatio),
	)
	fmt.Fprintf(
		b.out, "%-34s %5d %8.1fMB %10s %7s  %d MB%s\n", "  heap that they left", manyCalls, float64(growth)/(1<<20), "", "",
		maxGrowth>>20, verdict(growth <= maxGrowth),
	)
	fmt.Fprintf(
		b.out, "%-34s %5d of %d refused, %d builds accepted, %d of them lost%s\n", "  calls of the one", m.refused.Load(),
		manyCalls, m.count.Load(), lost, verdict(lost == 0),
	)
	return nil
}

// heap returns the bytes that are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// installation is an api with its limits, and an issuer, in this process.
type installation struct {
	issuer      *issuer.Issuer
	behind      *behind
	api, tokens *httptest.Server
	client      *http.Client
}

func startInstallation(ctx context.Context) (*installation, error) {
	i := &installation{
		behind: &behind{sent: map[string]bool{}}, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	i.tokens = httptest.NewServer(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { i.issuer.ServeHTTP(w, r) }),
	)
	var err error
	if i.issuer, err = issuer.New(i.tokens.URL); err != nil {
		return nil, err
	}
	verifier := auth.New(auth.Options{Issuer: i.tokens.URL, Audience: issuer.Client})
	go func() { _ = verifier.Run(ctx) }() // ends with the context
	for verifier.Ready() != nil {
		time.Sleep(10 * time.Millisecond)
	}
	i.api = httptest.NewServer(api.New(
		api.Deps{
			Verifier: verifier, Registry: i.behind, Objects: i.behind, State: i.behind, Runs: i.behind, Sender: i.behind,
		},
		api.Options{
			Log: slog.New(slog.DiscardHandler), Clock: time.Now,
			NewID: func() string { return uuid.Must(uuid.NewV7()).String() }, Needs: api.NeedsBoth,
			Limits: api.Limits{Calls: 50, CallerBuilds: 60, ApplicationBuilds: 60},
		},
	))
	return i, nil
}

func (i *installation) close() {
	i.api.Close()
	i.tokens.Close()
}

// call returns the status of an answer, and the id of a build that it names.
func (i *installation) call(ctx context.Context, token, method, path string) (status int, id string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, i.api.URL+api.Prefixes[0]+path, nil)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := i.client.Do(req)
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

// otherCalls is how many calls others make meanwhile: enough for a 99th percentile that one pause
// of the machine does not decide.
const otherCalls = 1000

// otherCallers are who makes them, each within the limit of one caller.
var otherCallers = []string{"ada", "bob", "carol", "dave"}

// others makes calls at a steady rate, and returns the 99th percentile of their times, each from
// when the call was due.
func (i *installation) others(ctx context.Context) (time.Duration, error) {
	var tokens []string
	for _, name := range otherCallers {
		tokens = append(tokens, i.issuer.Token(name, auth.TriggerRole))
	}
	var times []time.Duration
	tick := time.NewTicker(manyCallsIn / otherCalls)
	defer tick.Stop()
	for n := range otherCalls {
		due := <-tick.C
		if status, _, err := i.call(
			ctx,
			tokens[n%len(tokens)],
			http.MethodGet,
			"/builds",
		); err != nil ||
			status != http.StatusOK {
			return 0, fmt.Errorf("others are answered %d: %w", status, err)
		}
		times = append(times, time.Since(due))
	}
	slices.Sort(times)
	return times[len(times)*99/100], nil
}

// many are the calls of the one.
type many struct {
	accepted       sync.Map // ids of builds
	count, refused atomic.Int64
}

func (m *many) call(ctx context.Context, i *installation) error {
	token := i.issuer.Token("mallory", auth.TriggerRole)
	var g errgroup.Group
	g.SetLimit(64)
	tick := time.NewTicker(manyCallsIn / manyCalls)
	defer tick.Stop()
	for n := range manyCalls {
		<-tick.C
		g.Go(func() error {
			method, path := http.MethodGet, "/builds"
			if n%2 == 0 {
				method, path = http.MethodPost, "/apps/"+applicationOfCallers+"/trigger"
			}
			status, id, err := i.call(ctx, token, method, path)
			switch status {
			case http.StatusTooManyRequests:
				m.refused.Add(1)
			case http.StatusAccepted:
				m.accepted.Store(id, true)
				m.count.Add(1)
			}
			return err
		})
	}
	return g.Wait()
}
