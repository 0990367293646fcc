// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
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
	locks  locks
}

// callTimeout bounds a call of a forge: the broker waits for both.
const callTimeout = 10 * time.Second

// New returns the handler of the events that tell the start and the end of a build.
func New(transport http.RoundTripper, o Options) http.Handler {
	h := &handler{Options: o, client: &http.Client{
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
// once: the start of a build does not replace its end, and that of one that somebody ended replaces
// nothing of a different build.
func (h *handler) show(ctx context.Context, f Forge, repository string, r build.Run) (outcome string, err error) {
	s := statusOf(r, h.Builds)
	defer h.locks.lock(r.Commit + s.context)()
	there, err := h.newest(ctx, f, repository, r.Commit, s.context)
	if err != nil {
		return "", err
	}
	own := strings.HasPrefix(there, prefix(r))
	if there == s.description || own && s.state == pending || there != "" && !own && s.state == fault {
		return Known, nil
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

const (
	// pageSize is how many statuses are read at once, the most that Gitea gives.
	pageSize = 50
	// maxPages bounds how many of one commit are read.
	maxPages = 40
)

// newest returns the description of the newest status of a context, "" if there is none.
func (h *handler) newest(ctx context.Context, f Forge, repository, commit, name string) (string, error) {
	for page := 1; page <= maxPages; page++ {
		var p statuses
		path := fmt.Sprintf("%s&page=%d", f.kind.list(repository, commit, name), page)
		if err := h.call(ctx, f, http.MethodGet, path, nil, &p); err != nil {
			return "", err
		}
		for _, there := range p {
			if there.Context == name || there.Name == name {
				return there.Description, nil
			}
		}
		if len(p) < pageSize {
			break
		}
	}
	return "", nil
}

// statuses are a page of a list. GitHub and Gitea put it into an object.
type statuses []struct {
	Context     string `json:"context"`
	Name        string `json:"name"` // of the context, with GitLab
	Description string `json:"description"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *statuses) UnmarshalJSON(data []byte) error {
	type list statuses
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		return json.Unmarshal(data, (*list)(s))
	}
	var o struct{ Statuses list }
	err := json.Unmarshal(data, &o)
	*s = statuses(o.Statuses)
	return err
}

// locks keep two events of one status from being handled at the same time.
type locks [64]sync.Mutex

func (l *locks) lock(key string) (unlock func()) {
	h := fnv.New32a()
	_, _ = io.WriteString(h, key)
	m := &l[h.Sum32()%uint32(len(l))]
	m.Lock()
	return m.Unlock
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

// later reports whether a call may succeed later: the forge is away, it has had too many, or it works
// on that commit already, as GitLab says by 409.
func later(res *http.Response) bool {
	switch res.StatusCode {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
		return res.Header.Get("Retry-After") != "" || res.Header.Get("X-Ratelimit-Remaining") == "0"
	default:
		return res.StatusCode >= 500
	}
}
