// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/webhook"
)

const (
	// maxDelivery is the largest body of a delivery: GitHub sends none over 25 MiB.
	maxDelivery = 25 << 20
	// maxDeliveries bounds all bodies that are in memory at the same time.
	maxDeliveries = 4 * maxDelivery
	// deliveryWait is how long a delivery waits for its share of the memory, and deliveryRead how long
	// its body may take: Gitea gives up after 5 s, GitHub after 10 s.
	deliveryWait = 2 * time.Second
	deliveryRead = 8 * time.Second
)

// hooks take the deliveries of webhooks.
type hooks struct {
	secrets Secrets
	memory  *semaphore.Weighted
}

func newHooks(s Secrets) hooks { return hooks{s, semaphore.NewWeighted(maxDeliveries)} }

// hookOf returns the application whose webhook a request is for.
func hookOf(r *http.Request) (application string, ok bool) {
	_, path := cutPrefix(r.URL.EscapedPath())
	application, ok = strings.CutPrefix(path, "/hooks/")
	return unescape(application), ok
}

// deliver answers the delivery of a webhook: 202 when the broker has the push, 200 with the reason
// for what builds nothing, which a forge shows to its users. It asks nobody else, since forges do
// not wait for long. No call of the API is as cheap to make by anybody: the signature comes first.
func (h *handler) deliver(w http.ResponseWriter, r *http.Request, application string) {
	c := &call{Request: r, at: h.Clock(), object: build.ObjectRef{Application: application}}
	status, text, err := h.push(w, c)
	if err != nil {
		h.Log.InfoContext(c.Context(), "delivery refused", "application", build.Clean(application), "error", err)
		h.fail(w, c, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}

// push takes one delivery. An application that does not exist, one without a webhook and a wrong
// signature are answered alike.
func (h *handler) push(w http.ResponseWriter, c *call) (status int, text string, err error) {
	if c.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return 0, "", problem(http.StatusMethodNotAllowed, "MethodNotAllowed", "Use POST on this path")
	}
	var secrets []string
	if h.hooks.secrets != nil {
		if secrets, err = h.hooks.secrets.Secrets(c.object.Application); err != nil {
			return 0, "", err
		}
	}
	p, reason, err := h.read(w, c, secrets)
	if err != nil {
		return 0, "", err
	}
	if reason != "" {
		return http.StatusOK, reason, nil
	}
	p.Application, p.Time = c.object.Application, c.at
	if err := p.Validate(); err != nil {
		return 0, "", problem(
			http.StatusBadRequest,
			"InvalidRequest",
			"The delivery cannot be read: "+build.Clean(err.Error()),
		)
	}
	if !h.builds(c.object) {
		return http.StatusOK, "Nothing to build: builds of this application are not enabled on this installation", nil
	}
	ev, err := event.Pushed(event.SourceAPI, h.NewID(), p)
	if err != nil {
		return 0, "", err
	}
	if err := h.sender.Send(c.Context(), ev); err != nil {
		return 0, "", err
	}
	h.Log.InfoContext(
		c.Context(), "push", "application", p.Application, "ref", build.Clean(p.Refs[0].Name), "commit", p.Refs[0].Commit,
		"refs", len(p.Refs), "event", ev.ID(),
	)
	return http.StatusAccepted, "Accepted: what of " + p.Application + " is built from this branch or tag is built", nil
}

// read reads a body into memory, of which all deliveries have a share, and checks its signature
// before anything looks into it.
func (h *handler) read(w http.ResponseWriter, c *call, secrets []string) (p build.Push, reason string, err error) {
	size := c.ContentLength
	switch {
	case size > maxDelivery:
		return p, "", tooLarge()
	case size < 0:
		size = maxDelivery
	}
	waiting, stop := context.WithTimeout(c.Context(), deliveryWait)
	defer stop()
	if err := h.hooks.memory.Acquire(waiting, size); err != nil {
		return p, "", fmt.Errorf("wait for memory: %w", err)
	}
	defer h.hooks.memory.Release(size)
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(deliveryRead)) // not every writer can
	body, err := io.ReadAll(http.MaxBytesReader(w, c.Body, maxDelivery))
	if err == nil { // else the rest of the body would be waited for
		_ = connection.SetReadDeadline(time.Time{})
	}
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return p, "", tooLarge()
	}
	if err != nil {
		return p, "", problem(http.StatusBadRequest, "InvalidRequest", "The body ended early, or came too slowly")
	}
	if !webhook.Verify(secrets, c.Header, body, c.at) {
		w.Header().Set("WWW-Authenticate", "HMAC-SHA256")
		return p, "", problem(
			http.StatusUnauthorized, "Unauthorized",
			"The signature is not valid, or there is no webhook for this application: "+
				"compare the secret of the forge with that of the installation",
		)
	}
	p, reason, err = webhook.Decode(c.Header, body)
	if err != nil {
		return p, "", problem(
			http.StatusBadRequest,
			"InvalidRequest",
			"The delivery cannot be read: "+build.Clean(err.Error()),
		)
	}
	return p, reason, nil
}

func tooLarge() *Problem {
	return problem(http.StatusRequestEntityTooLarge, "PayloadTooLarge", "The body of the delivery is larger than 25 MiB")
}
