// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/auth"
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

const (
	openStreams = 200
	// streamBuilds are asked for in streamTime, a thousand in a minute, and each changes some times.
	streamBuilds  = 500
	streamChanges = 8
	streamTime    = 30 * time.Second
	// endedBuilds are in the state besides.
	endedBuilds = 10_000
	// maxToBrowser is how long a change may take to a reader, half of the time, and maxStreamMemory
	// what state, streams and readers may use together.
	maxToBrowser    = 200 * time.Millisecond
	maxStreamMemory = 100 << 20
	// maxList is how long a list of builds may take, half of the time.
	maxList = 20 * time.Millisecond
)

// anybody is whoever the token names.
type anybody struct{}

func (anybody) Middleware(next http.Handler, _ func(http.ResponseWriter, *http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := auth.Principal{Subject: r.Header.Get("Authorization"), Expires: time.Now().Add(time.Hour)}
		next.ServeHTTP(w, r.WithContext(auth.NewContext(r.Context(), p)))
	})
}

// streams measures how long a change of a build takes to those who read streams of events, what that
// uses, and how long a list takes meanwhile.
func (b *bench) streams(ctx context.Context) error {
	const name = "change to 200 streams, p50"
	if b.skips(name) {
		return nil
	}
	state := tekton.NewStore()
	var ended []build.Run
	for n := range endedBuilds {
		ended = append(ended, runOfBench(n, build.Succeeded))
	}
	state.Replace(ended)
	before := &behind{sent: map[string]bool{}}
	srv := httptest.NewServer(api.New(
		api.Deps{Verifier: anybody{}, Registry: before, State: state},
		api.Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now, NewID: uuid.NewString},
	))
	defer srv.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var r readers
	var g errgroup.Group
	opened := make(chan error, openStreams)
	for n := range openStreams {
		g.Go(func() error { return r.read(ctx, srv.URL, fmt.Sprint("caller ", n%50), opened) })
	}
	for range openStreams {
		if err := <-opened; err != nil {
			return err
		}
	}
	lists := make(chan []time.Duration, 1)
	g.Go(func() error { lists <- listEvery(ctx, srv.URL); return nil })
	var peak int64
	tick := time.NewTicker(streamTime / streamBuilds / streamChanges)
	defer tick.Stop()
	for n := range streamBuilds * streamChanges {
		<-tick.C
		run := runOfBench(endedBuilds+n/streamChanges, build.Running)
		run.Progress, run.Completed = float64(n%streamChanges), time.Now() // when it was changed
		if n%streamChanges == streamChanges-1 {
			run.Phase = build.Succeeded
		}
		state.Set(run)
		if n%1000 == 999 {
			peak = max(peak, heap())
		}
	}
	cancel()
	if err := g.Wait(); err != nil {
		return err
	}
	times, list := r.times, <-lists
	slices.Sort(times)
	slices.Sort(list)
	half := times[len(times)/2]
	fmt.Fprintf(
		b.out,
		"%-34s %5d %8.1fms %10s %7s  %.0f ms%s\n",
		name,
		len(times),
		ms(half),
		"",
		"",
		ms(maxToBrowser),
		verdict(half <= maxToBrowser),
	)
	fmt.Fprintf(b.out, "%-34s %5d %8.1fms\n", "  p99", len(times), ms(times[len(times)*99/100]))
	fmt.Fprintf(
		b.out,
		"%-34s %5d %8.1fMB %10s %7s  %d MB%s\n",
		"  heap, with that of the readers",
		openStreams,
		float64(peak)/(1<<20),
		"",
		"",
		maxStreamMemory>>20,
		verdict(peak <= maxStreamMemory),
	)
	half = list[len(list)/2]
	fmt.Fprintf(
		b.out,
		"%-34s %5d %8.1fms %10s %7s  %.0f ms%s\n",
		"  GET /builds of 10,000, p50",
		len(list),
		ms(half),
		"",
		"",
		ms(maxList),
		verdict(half <= maxList),
	)
	return nil
}

func runOfBench(n int, phase build.Phase) build.Run {
	id := fmt.Sprintf("0190f2a4-6c3b-7a57-8f0e-%012d", n)
	r := build.Run{
		ID: id, Name: build.RunName(id), UID: id,
		Object: build.ObjectRef{Application: applicationOfCallers, Device: fmt.Sprint("device-", n%1000)},
		Status: build.Status{Phase: phase, Reason: build.ReasonBuilding, Requested: time.Unix(int64(n), 0)},
	}
	for _, name := range []string{"fetch-source", "build-firmware", "publish"} {
		r.Steps = append(r.Steps, build.Step{Name: name, State: build.StepSucceeded})
	}
	return r
}

// readers read streams.
type readers struct {
	mu    sync.Mutex
	times []time.Duration
}

// read reads a stream until the context ends, and notes how old each change is that comes.
func (r *readers) read(ctx context.Context, url, token string, opened chan<- error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+api.Prefixes[0]+"/events", http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", token)
	res, err := http.DefaultClient.Do(req)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("stream: %s", res.Status)
	}
	if opened <- err; err != nil {
		return err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	var own []time.Duration
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: {")
		if !ok {
			continue
		}
		var b struct{ Completed time.Time }
		if err := json.Unmarshal([]byte("{"+data), &b); err != nil {
			return err
		}
		own = append(own, time.Since(b.Completed))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times = append(r.times, own...)
	return nil // the context has ended
}

// listEvery lists builds several times a second until the context ends.
func listEvery(ctx context.Context, url string) (times []time.Duration) {
	for ctx.Err() == nil {
		began := time.Now()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+api.Prefixes[0]+"/builds", http.NoBody)
		if err != nil {
			return times
		}
		req.Header.Set("Authorization", "lists")
		if res, err := http.DefaultClient.Do(req); err == nil {
			var list []api.Build
			err = json.NewDecoder(res.Body).Decode(&list)
			res.Body.Close()
			if err == nil && len(list) > 0 {
				times = append(times, time.Since(began))
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return times
}
