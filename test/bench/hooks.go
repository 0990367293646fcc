// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/sink"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

const (
	hookSecret = "MFPQ5XOSKJKQ2UYVXCRC4GTIVB"
	// steadyPushes follow each other, five in a second; burstPushes come at once, burstRounds times.
	steadyPushes   = 300
	steadyInterval = 200 * time.Millisecond
	burstPushes    = 400
	burstRounds    = 9
	// maxHookRatio is how much longer an acknowledgement may take than one of a handler that only
	// verifies the signature and sends an event.
	maxHookRatio = 1.2
)

// pushOf is a payload as GitHub publishes it.
const pushOf = "pkg/webhook/testdata/github-push.json"

// unlocked lets everybody in: webhooks have no token.
type unlocked struct{}

func (unlocked) Middleware(next http.Handler, _ func(http.ResponseWriter, *http.Request, error)) http.Handler {
	return next
}

// Secrets implements api.Secrets.
func (unlocked) Secrets(string) ([]string, error) { return []string{hookSecret}, nil }

// hooks measures how fast pushes are acknowledged, beside a bare handler.
func (b *bench) hooks(ctx context.Context) error {
	const name = "acknowledge a push"
	if b.skips(name) {
		return nil
	}
	payload, err := os.ReadFile(pushOf)
	if err != nil {
		return err
	}
	broker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer broker.Close()
	keys, err := event.NewKeys(strings.Repeat("k", 32))
	if err != nil {
		return err
	}
	sender := keys.Signed(sink.New(broker.URL, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512}}))
	ours := httptest.NewServer(api.New(
		api.Deps{Verifier: unlocked{}, State: tekton.NewStore(), Sender: sender, Hooks: unlocked{}},
		api.Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now, NewID: uuid.NewString},
	))
	defer ours.Close()
	bare := httptest.NewServer(bareHook(sender))
	defer bare.Close()
	p := pushes{payload, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: burstPushes}}}
	sides := []string{ours.URL + api.Prefixes[0] + "/hooks/greenhouse", bare.URL}
	for _, measure := range []struct {
		name string
		f    func(context.Context, []string) ([2][]time.Duration, error)
	}{{name + ", 5 a second", p.steady}, {fmt.Sprintf("%s, %d at once", name, burstPushes), p.burst}} {
		times, err := measure.f(ctx, sides)
		if err != nil {
			return err
		}
		for _, at := range []int{50, 99} {
			us, other := percentile(times[0], at), percentile(times[1], at)
			ratio := float64(us) / float64(other)
			fmt.Fprintf(
				b.out, "%-34s %5d %8.2fms %8.2fms %7.2f  %.1f%s\n", fmt.Sprintf("%s, p%d", measure.name, at), len(times[0]),
				ms(us), ms(other), ratio, maxHookRatio, verdict(ratio <= maxHookRatio),
			)
		}
	}
	return nil
}

// bareHook verifies a signature and sends an event.
func bareHook(sender event.Sender) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !hmac.Equal([]byte(r.Header.Get("X-Hub-Signature-256")), []byte(signature(body))) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var ev cloudevents.Event
		if ev, err = event.Pushed(event.SourceAPI, uuid.NewString(), build.Push{
			Application: "greenhouse", URLs: []string{"https://h/r"}, Time: time.Now(),
			Refs: []build.PushedRef{{Name: "refs/heads/main", Commit: strings.Repeat("a", 40)}},
		}); err == nil {
			err = sender.Send(r.Context(), ev)
		}
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})
}

func signature(body []byte) string {
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// pushes delivers one payload many times.
type pushes struct {
	payload []byte
	client  *http.Client
}

func (p pushes) deliver(ctx context.Context, url string) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(p.payload))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", "push")
	req.Header.Set("X-Hub-Signature-256", signature(p.payload))
	began := time.Now()
	res, err := p.client.Do(req)
	if err != nil {
		return 0, err
	}
	took := time.Since(began)
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusAccepted {
		return 0, fmt.Errorf("a push is answered with %s: %w", res.Status, err)
	}
	return took, nil
}

// steady delivers to both sides, which take turns in being the first: it finds the machine asleep.
func (p pushes) steady(ctx context.Context, sides []string) (times [2][]time.Duration, err error) {
	tick := time.NewTicker(steadyInterval)
	defer tick.Stop()
	for n := range steadyPushes {
		<-tick.C
		for k := range sides {
			i := (n + k) % len(sides)
			took, err := p.deliver(ctx, sides[i])
			if err != nil {
				return times, err
			}
			times[i] = append(times[i], took)
		}
	}
	return times, nil
}

// burst delivers many at once, to each side in turn. The first round opens the connections.
func (p pushes) burst(ctx context.Context, sides []string) (times [2][]time.Duration, err error) {
	for round := range burstRounds + 1 {
		for i, url := range sides {
			took := make([]time.Duration, burstPushes)
			var g errgroup.Group
			for n := range took {
				g.Go(func() (err error) {
					took[n], err = p.deliver(ctx, url)
					return err
				})
			}
			if err := g.Wait(); err != nil {
				return times, err
			}
			if round > 0 {
				times[i] = append(times[i], took...)
			}
		}
	}
	return times, nil
}

// percentile returns one of durations.
func percentile(list []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}
