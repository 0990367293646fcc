// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/test/devtest"
)

const (
	watchers         = 40
	streamsOfWatcher = 5
	// Two builds a second, each of which begins and ends. On two cores, the API server and the webhook of Tekton
	// need all of them at about seven; "make bench" has a thousand in a minute, without these.
	watchedBuilds   = 100
	watchedInterval = 500 * time.Millisecond
	maxToBrowser    = 200 * time.Millisecond
)

// streams measures how long a change of a run takes to those who read streams of events, and what the api
// service needs for that.
func (b *bench) streams(ctx context.Context) error {
	app := b.prefix + "-watched"
	err := b.Call(ctx, http.MethodPost, devtest.Apps, map[string]any{"metadata": map[string]any{"name": app}}, nil)
	if err != nil {
		return err
	}
	members := map[string]any{}
	for n := range watchers {
		members[watcher(n)] = map[string]any{"role": "reader"}
	}
	path := "/api/admin/v1alpha1/apps/" + app + "/members"
	if err := b.Call(ctx, http.MethodPut, path, map[string]any{"members": members}, nil); err != nil {
		return err
	}
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &changes{at: map[string]time.Time{}}
	var g errgroup.Group
	opened := make(chan error, watchers*streamsOfWatcher)
	for n := range watchers {
		token, err := login(ctx, watcher(n))
		if err != nil {
			return err
		}
		for range streamsOfWatcher {
			g.Go(func() error { return s.read(reading, token, app, opened) })
		}
	}
	for range watchers * streamsOfWatcher {
		if err := <-opened; err != nil {
			return err
		}
	}
	began := time.Now()
	if err := b.change(ctx, app, s); err != nil {
		return err
	}
	took := time.Since(began)
	time.Sleep(5 * time.Second) // for what is still under way
	cancel()
	if err := g.Wait(); err != nil {
		return err
	}
	fmt.Printf(
		"%d streams, %d builds in %s, %d changes were read\n", watchers*streamsOfWatcher, watchedBuilds,
		took.Round(time.Second), len(s.times),
	)
	// Of a build that changes twice before a reader takes it, the last state is sent alone.
	const all = watchedBuilds * watchers * streamsOfWatcher
	b.row("ends that were read, of all", fmt.Sprintf("%.3f", float64(s.ends)/all), s.ends == all, "1.000")
	b.atMost("change of a run to 200 streams, p50", percentile(s.times, 50), maxToBrowser)
	fmt.Printf("      p99 %s\n", percentile(s.times, 99).Round(100*time.Microsecond))
	most, err := b.resident(ctx, "api")
	if err != nil {
		return err
	}
	b.row("api with 200 streams, resident memory", fmt.Sprintf("%d MB", most>>20), most <= 100<<20, "at most 100 MB")
	return nil
}

// watcher is the name of a user who reads some streams: one may have only so many open.
func watcher(n int) string { return fmt.Sprint("watcher-", n) }

// change has builds begin and end, each of its own device.
func (b *bench) change(ctx context.Context, app string, s *changes) error {
	d, err := build.Parse(
		json.RawMessage(`{"container":{"image":"` + app + `:1","build":{"image":"b:1","artifact":{"path":"f"},` +
			`"source":{"git":{"uri":"https://git.example.org/acme/fw.git","rev":"main","project":"."}}}}}`),
	)
	if err != nil {
		return err
	}
	tick := time.NewTicker(watchedInterval)
	defer tick.Stop()
	var g errgroup.Group
	g.SetLimit(clients)
	for n := range watchedBuilds {
		<-tick.C
		g.Go(func() error {
			o := build.ObjectRef{Application: app, Device: fmt.Sprint("device-", n)}
			id, err := b.createRun(ctx, o, d, time.Now(), begun)
			if err != nil {
				return err
			}
			s.changed(id, build.Running)
			running := fmt.Appendf(
				nil,
				`{"status":{"conditions":[{"type":"Succeeded","status":"Unknown","reason":"Running","lastTransitionTime":%q}]}}`,
				time.Now().UTC().Format(time.RFC3339),
			)
			if _, err := b.runs.Patch(
				ctx,
				build.RunName(id),
				types.MergePatchType,
				running,
				metav1.PatchOptions{},
				"status",
			); err != nil {
				return err
			}
			time.Sleep(time.Second)
			s.changed(id, build.Failed)
			return b.end(ctx, id)
		})
	}
	return g.Wait()
}

// changes are when builds were changed, and how long that took to those who read it.
type changes struct {
	mu    sync.Mutex
	at    map[string]time.Time // by the id and the phase
	times []time.Duration
	ends  int
}

func (s *changes) changed(id string, phase build.Phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at[id+string(phase)] = time.Now()
}

// read reads a stream until the context ends.
func (s *changes) read(ctx context.Context, token, app string, opened chan<- error) error {
	req, err := http.NewRequestWithContext(
		ctx, http.MethodGet, api+devtest.Builds+"/events?application="+app, http.NoBody,
	)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("stream: %s", res.Status)
	}
	if opened <- err; err != nil {
		return err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	read := map[string]bool{}
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: {")
		if !ok {
			continue
		}
		var changed struct{ ID, Status string }
		if err := json.Unmarshal([]byte("{"+data), &changed); err != nil {
			return err
		}
		now, key := time.Now(), changed.ID+changed.Status
		s.mu.Lock()
		if at, ok := s.at[key]; ok && !read[key] {
			s.times = append(s.times, now.Sub(at))
			if changed.Status == string(build.Failed) {
				s.ends++
			}
		}
		s.mu.Unlock()
		read[key] = true
	}
	return nil // the context has ended
}
