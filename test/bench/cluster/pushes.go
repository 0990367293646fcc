// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/drogue-iot/ajour/test/devtest"
)

// What was recorded of the EventListener of Tekton Triggers on a cluster like this one, from the
// delivery to the run, at 5 a second. Of a burst of 400, 85 runs were missing after a minute.
const (
	listenerP50 = 21 * time.Millisecond
	listenerP99 = 63 * time.Millisecond
)

// pushed is the name of an application that is built on pushes.
func (b *bench) pushed(i int) string { return fmt.Sprintf("%s-push-%d", b.prefix, i) }

// preparePushes makes applications with a webhook each.
func (b *bench) preparePushes(ctx context.Context, n int, secret string) error {
	keys := map[string]string{}
	for i := range n {
		keys[b.pushed(i)] = secret
	}
	patch, err := json.Marshal(map[string]any{"stringData": keys})
	if err != nil {
		return err
	}
	if _, err := kubectl(ctx, "--namespace=ajour", "patch", "secret", "webhooks", "--patch="+string(patch)); err != nil {
		return err
	}
	if err := parallel(n, func(i int) error {
		spec := description(0)
		firmware := spec["firmware"].(map[string]any)["container"].(map[string]any)["build"].(map[string]any)
		firmware["triggers"] = []string{"push"}
		app := b.pushed(i)
		body := map[string]any{"metadata": map[string]any{"name": app}, "spec": devtest.Of(app, spec)}
		return b.Call(ctx, http.MethodPost, devtest.Apps, body, nil)
	}); err != nil {
		return err
	}
	// The kubelet shows a changed Secret within about a minute, each replica at its own time.
	for inARow, deadline := 0, time.Now().Add(3*time.Minute); inARow < 20; inARow++ {
		if status, err := b.deliver(ctx, n-1, secret, "Test Hook", "{}"); err != nil || status != http.StatusOK {
			if inARow = 0; time.Now().After(deadline) {
				return errors.Join(err, fmt.Errorf("webhooks answer %d", status))
			}
			time.Sleep(time.Second)
		}
	}
	return nil
}

// deliver calls a webhook, and returns the status.
func (b *bench) deliver(ctx context.Context, i int, secret, event, body string) (int, error) {
	req, err := http.NewRequestWithContext(
		ctx, http.MethodPost, api+devtest.Builds+"/hooks/"+b.pushed(i), strings.NewReader(body),
	)
	if err != nil {
		return 0, err
	}
	req.Header.Set("X-Gitlab-Event", event)
	req.Header.Set("X-Gitlab-Token", secret)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// push delivers one, and returns what its run is seen by.
func (b *bench) push(ctx context.Context, i int, secret string) (string, error) {
	status, err := b.deliver(ctx, i, secret, "Push Hook", fmt.Sprintf(
		`{"object_kind": "push", "ref": "refs/heads/main", "before": %q, "checkout_sha": %q,
			"project": {"git_http_url": "https://git.example.org/acme/fw.git", "default_branch": "main"}}`,
		strings.Repeat("0", 40), strings.Repeat("a", 40),
	))
	if err == nil && status != http.StatusAccepted {
		err = fmt.Errorf("a push is answered with %d", status)
	}
	return b.pushed(i), err
}

// pushes measures how pushes become runs.
func (b *bench) pushes(ctx context.Context) error {
	secret := rand.Text()
	if err := b.preparePushes(ctx, burst+steady, secret); err != nil {
		return err
	}
	if err := settle(ctx); err != nil {
		return err
	}
	var mu sync.Mutex
	var acknowledged []time.Duration
	deliver := func(i int) (string, error) {
		began := time.Now()
		app, err := b.push(ctx, i, secret)
		mu.Lock()
		defer mu.Unlock()
		acknowledged = append(acknowledged, time.Since(began))
		return app, err
	}
	through, err := b.steadily(ctx, steady, func(i int) (string, error) { return deliver(burst + i) }, false)
	if err != nil {
		return err
	}
	fmt.Printf(
		"pushes at 5 a second: acknowledged p50 %s, p99 %s\n", percentile(acknowledged, 50), percentile(acknowledged, 99),
	)
	b.atMost("pushes at 5 a second, visible p50", percentile(through.visible, 50), listenerP50)
	b.atMost("pushes at 5 a second, visible p99", percentile(through.visible, 99), listenerP99)
	if err := settle(ctx); err != nil {
		return err
	}
	acknowledged = nil
	rate, err := b.burst(ctx, deliver, false)
	if err != nil {
		return err
	}
	fmt.Printf(
		"burst of %d pushes: %.1f runs/s, none missing, acknowledged p50 %s, p99 %s\n", burst, rate,
		percentile(acknowledged, 50), percentile(acknowledged, 99),
	)
	return nil
}
