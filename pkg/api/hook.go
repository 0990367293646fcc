// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
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
	// maxDeliveries bounds the memory of all bodies that are read at the same time: one of the largest,
	// and many of the usual ones.
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

// read reads a body into memory, and checks its signature before anything looks into it.
func (h *handler) read(w http.ResponseWriter, c *call, secrets []string) (p build.Push, reason string, err error) {
	if c.ContentLength > maxDelivery {
		return p, "", tooLarge()
	}
	if !webhook.Signed(c.Header) {
		return p, "", unsigned(w)
	}
	body := &measured{ctx: c.Context(), r: http.MaxBytesReader(w, c.Body, maxDelivery), memory: h.hooks.memory}
	defer body.release()
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(deliveryRead)) // not every writer can
	data, err := body.all(c.ContentLength)
	if err == nil { // else the rest of the body would be waited for
		_ = connection.SetReadDeadline(time.Time{})
	}
	large := (*http.MaxBytesError)(nil)
	switch {
	case errors.As(err, &large):
		return p, "", tooLarge()
	case errors.Is(err, errNoMemory):
		return p, "", err
	case err != nil:
		return p, "", problem(http.StatusBadRequest, "InvalidRequest", "The body ended early, or came too slowly")
	}
	if !webhook.Verify(secrets, c.Header, data, c.at) {
		return p, "", unsigned(w)
	}
	p, reason, err = webhook.Decode(c.Header, data)
	if err != nil {
		return p, "", unread(err)
	}
	return p, reason, nil
}

// unread says why a delivery is of no use.
func unread(err error) *Problem {
	return problem(http.StatusBadRequest, "InvalidRequest", "The delivery cannot be read: "+build.Clean(err.Error()))
}

// unsigned is one answer for whatever is wrong with a signature: it says nothing of what is
// installed.
func unsigned(w http.ResponseWriter) *Problem {
	w.Header().Set("WWW-Authenticate", "HMAC-SHA256")
	return problem(
		http.StatusUnauthorized, "Unauthorized",
		"The signature is not valid, or there is no webhook for this application: "+
			"compare the secret of the forge with that of the installation",
	)
}

// measured is a body that has a share of the memory for all deliveries, for what came of it so far:
// who only says that a body is large takes nothing.
type measured struct {
	ctx    context.Context
	r      io.Reader
	memory *semaphore.Weighted
	share  int64
}

const (
	// shareStep is how much of a body is read at a time.
	shareStep = 64 << 10
	// shareOf is how much memory a byte of a body takes while its buffer grows.
	shareOf = 3
)

var errNoMemory = errors.New("too many deliveries at the same time")

// Read implements io.Reader.
func (m *measured) Read(p []byte) (int, error) {
	n, err := m.r.Read(p[:min(len(p), shareStep)])
	if n > 0 {
		waiting, stop := context.WithTimeout(m.ctx, deliveryWait)
		defer stop()
		if m.memory.Acquire(waiting, int64(n)*shareOf) != nil {
			return 0, errNoMemory
		}
		m.share += int64(n) * shareOf
	}
	return n, err
}

func (m *measured) release() { m.memory.Release(m.share) }

// all reads all of it, into one piece of memory if the size is known and small.
func (m *measured) all(size int64) ([]byte, error) {
	var b bytes.Buffer
	if size > 0 && size <= shareStep {
		b.Grow(int(size) + bytes.MinRead)
	}
	_, err := b.ReadFrom(m)
	return b.Bytes(), err
}

func tooLarge() *Problem {
	return problem(http.StatusRequestEntityTooLarge, "PayloadTooLarge", "The body of the delivery is larger than 25 MiB")
}
