// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// Options configure a handler.
type Options struct {
	Log *slog.Logger
	// Events verifies what comes in.
	Events event.Options
	Forges []Forge
	// Tokens are those of the forges.
	Tokens Folder
	// Builds is the URL that a build is below, as BUILDS/builds/ID; without it, a status links to
	// nothing.
	Builds string
	// Count counts builds by what became of their status; nothing is counted if nil.
	Count func(ctx context.Context, outcome string)
}

// Outcomes of an event, as the metric has them.
const (
	// Posted is one whose status a forge has taken.
	Posted = "posted"
	// Known is one that the forge knows of already, or of what came after it.
	Known = "known"
	// Unlisted is one of a repository that is on no forge of the list.
	Unlisted = "unlisted"
	// Refused is one that the forge will never take.
	Refused = "refused"
)

type handler struct {
	Options
	client *http.Client
}

// callTimeout bounds a call of a forge: the broker waits for both.
const callTimeout = 10 * time.Second

// New returns the handler of the events that tell the start and the end of a build.
func New(transport http.RoundTripper, o Options) http.Handler {
	h := &handler{o, &http.Client{
		Transport: transport, Timeout: callTimeout,
		// A token goes to no address that an answer names.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	return event.Subscriber(o.Events, h.handle)
}

func (h *handler) handle(ctx context.Context, ev cloudevents.Event) error {
	if ev.Type() != event.TypeStarted && ev.Type() != event.TypeFinished {
		return nil // not for us
	}
	r, err := event.DecodeBuild(ev)
	if err != nil {
		return err
	}
	host, path, _ := build.RepositoryOf(r.Source.URI)
	forge, repository, listed := find(h.Forges, host, path)
	if !listed || !build.ValidCommit(r.Commit) {
		h.count(ctx, Unlisted)
		return nil
	}
	outcome, err := h.show(ctx, forge, repository, r)
	var refused *refusedError
	if errors.As(err, &refused) {
		h.Log.ErrorContext(
			ctx,
			"forge refuses the status of a commit",
			"error",
			err,
			"repository",
			repository,
			"commit",
			r.Commit,
			"build",
			r.ID,
		)
		outcome, err = Refused, nil
	}
	if err != nil {
		return err
	}
	h.count(ctx, outcome)
	return nil
}

func (h *handler) count(ctx context.Context, outcome string) {
	if h.Count != nil {
		h.Count(ctx, outcome)
	}
}

// show posts the status of a build, unless the forge has it already. Events come late and more than
// once: the start of a build does not replace its end.
func (h *handler) show(ctx context.Context, f Forge, repository string, r build.Run) (outcome string, err error) {
	s := statusOf(r, h.Builds)
	var list []struct {
		Context     string `json:"context"`
		Name        string `json:"name"` // of the context, with GitLab
		Description string `json:"description"`
	}
	if err := h.call(ctx, f, http.MethodGet, f.kind.list(repository, r.Commit), nil, &list); err != nil {
		return "", err
	}
	for _, there := range list {
		if there.Context != s.context && there.Name != s.context {
			continue
		}
		if there.Description == s.description ||
			s.state == pending && strings.HasPrefix(there.Description, prefix(r)) {
			return Known, nil
		}
	}
	if err := h.call(ctx, f, http.MethodPost, f.kind.post(repository, r.Commit), f.kind.body(s), nil); err != nil {
		return "", err
	}
	h.Log.InfoContext(
		ctx, "status of a commit posted", "host", f.url.Host, "repository", repository, "commit", r.Commit, "build", r.ID,
		"state", string(s.state),
	)
	return Posted, nil
}

// refusedError says that a forge will not do what it was asked for, however often it is.
type refusedError struct {
	method, host string
	status       int
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("%s answers %s with %d", e.host, e.method, e.status)
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 4 << 20

// call calls the API of a forge.
func (h *handler) call(ctx context.Context, f Forge, method, path string, body, into any) error {
	token, err := h.Tokens.token(f.url.Hostname())
	if err != nil {
		return err
	}
	var data []byte
	if body != nil {
		if data, err = json.Marshal(body); err != nil {
			return fmt.Errorf("write status: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, f.kind.base(f.url)+path, bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("call forge: %w", err)
	}
	f.kind.authorize(req.Header, token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := h.client.Do(req)
	if err != nil {
		return fmt.Errorf("call forge: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case res.StatusCode/100 == 2 && err == nil && into != nil:
		if err := json.Unmarshal(answer, into); err != nil {
			return &refusedError{method, f.url.Host, res.StatusCode} // it is no forge of that kind
		}
		return nil
	case res.StatusCode/100 == 2:
		return err
	case later(res):
		return fmt.Errorf("%s answers %s with %d", f.url.Host, method, res.StatusCode)
	default:
		return &refusedError{method, f.url.Host, res.StatusCode}
	}
}

// later reports whether a call may succeed later: the forge is away, or it has had too many.
func later(res *http.Response) bool {
	return res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests ||
		res.StatusCode == http.StatusForbidden &&
			(res.Header.Get("Retry-After") != "" || res.Header.Get("X-Ratelimit-Remaining") == "0")
}
