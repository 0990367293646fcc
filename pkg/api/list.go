// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"container/heap"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

const (
	// defaultLimit bounds a list of builds unless the caller asks for more.
	defaultLimit = 100
	// minCommit is how much of a commit a filter needs, as with git.
	minCommit = 4
)

// listParams are the filters of a list of builds.
var listParams = []string{
	"application", "device", "devices", "status", "reason", "trigger", "requester", "commit", "since", "until", "q",
	"limit", "cursor",
}

// listBuilds shows builds, the newest first, those that all filters select.
func (h *handler) listBuilds(w http.ResponseWriter, c *call) error {
	f, err := c.filter()
	if err != nil {
		return err
	}
	limit, err := c.number("limit", defaultLimit)
	if err != nil {
		return err
	}
	applications, err := h.applications(c)
	if err != nil {
		return err
	}
	runs := h.buildsOf(applications, f.query)
	if f.query.Object != (build.ObjectRef{}) {
		runs = append(runs, h.rejectedOf(c, f.query.Object)...)
	}
	runs = slices.DeleteFunc(runs, func(r *build.Run) bool { return !f.selects(r) })
	total := len(runs)
	if f.after != nil {
		runs = slices.DeleteFunc(runs, func(r *build.Run) bool { return build.CompareRuns(r, f.after) >= 0 })
	}
	runs, more := page(runs, limit)
	if more && limit > 0 {
		next := c.query
		next.Set("cursor", cursorOf(runs[limit-1]))
		w.Header().Set("Link", fmt.Sprintf(`<%s/builds?%s>; rel="next"`, c.prefix, next.Encode()))
	}
	w.Header().Set("X-Total-Count", strconv.Itoa(total))
	return reply(w, http.StatusOK, h.show(runs))
}

// page returns the newest builds, the newest first, and reports whether there are more. It does not sort
// those that are not on it: there may be many.
func page(runs []*build.Run, limit int) (newest []*build.Run, more bool) {
	if len(runs) <= limit {
		return newestFirst(runs), false
	}
	top := oldestOnTop(runs[:limit:limit])
	heap.Init(&top)
	for _, r := range runs[limit:] {
		if limit > 0 && build.CompareRuns(r, top[0]) > 0 {
			top[0] = r
			heap.Fix(&top, 0)
		}
	}
	return newestFirst(top), true
}

// oldestOnTop is a heap. It implements [heap.Interface].
type oldestOnTop []*build.Run

func (h oldestOnTop) Len() int           { return len(h) }
func (h oldestOnTop) Less(i, j int) bool { return build.CompareRuns(h[i], h[j]) < 0 }
func (h oldestOnTop) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *oldestOnTop) Push(any)          {} // it never grows
func (h *oldestOnTop) Pop() any          { return nil }

// filter selects builds.
type filter struct {
	query             build.Query
	phases            []string
	reasons           []string
	causes            []string
	requester, commit string
	since, until      time.Time
	text              string
	// after is where the page before ended; nil for the first page.
	after *build.Run
}

// filter reads the parameters of a list.
func (c *call) filter() (f filter, err error) {
	object, err := c.named()
	if err != nil {
		return f, err
	}
	devices, err := c.flag("devices")
	switch {
	case err != nil:
		return f, err
	case devices && (object.Application == "" || object.Device != ""):
		return f, invalid("The parameter devices is for an application: set application, and no device")
	case devices:
		f.query.Application = object.Application
	default:
		f.query.Object = object
	}
	if f.phases, err = c.oneOf("status", build.Phases); err != nil {
		return f, err
	}
	if f.reasons, err = c.oneOf("reason", build.Reasons()); err != nil {
		return f, err
	}
	if f.causes, err = c.oneOf("trigger", build.Causes); err != nil {
		return f, err
	}
	f.requester, f.text = c.query.Get("requester"), strings.ToLower(c.query.Get("q"))
	if f.commit = c.query.Get("commit"); c.query.Has("commit") && !build.CommitPrefix(f.commit, minCommit) {
		return f, invalid("The parameter commit is no commit: use its first %d to 64 hexadecimal digits", minCommit)
	}
	if f.since, err = c.instant("since"); err != nil {
		return f, err
	}
	if f.until, err = c.instant("until"); err != nil {
		return f, err
	}
	if cursor := c.query.Get("cursor"); cursor != "" {
		f.after, err = parseCursor(cursor)
	}
	return f, err
}

// oneOf reads a parameter that is one of a list, or several of it.
func (c *call) oneOf(name string, list []string) ([]string, error) {
	for _, v := range c.query[name] {
		if !slices.Contains(list, v) {
			return nil, invalid("The parameter %s is %q: use one of %s", name, v, strings.Join(list, ", "))
		}
	}
	return c.query[name], nil
}

// selects reports whether a build passes all filters but that of the query.
func (f *filter) selects(r *build.Run) bool {
	in := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	return in(f.phases, string(r.Phase)) && in(f.reasons, string(r.Reason)) && in(f.causes, string(r.Cause)) &&
		(f.requester == "" || r.Requester == f.requester) &&
		strings.HasPrefix(r.Commit, strings.ToLower(f.commit)) &&
		(f.since.IsZero() || !r.Requested.Before(f.since)) && (f.until.IsZero() || r.Requested.Before(f.until)) &&
		(f.text == "" || f.mentions(r))
}

// mentions reports whether a build says the text that is looked for.
func (f *filter) mentions(r *build.Run) bool {
	for _, s := range []string{r.Object.String(), r.Message, r.Commit, r.Source.Rev, r.ID} {
		if strings.Contains(strings.ToLower(s), f.text) {
			return true
		}
	}
	return false
}

// cursorOf is where a page ends that ends with a build.
func cursorOf(r *build.Run) string {
	return base64.RawURLEncoding.EncodeToString([]byte(r.Requested.UTC().Format(time.RFC3339Nano) + "/" + r.ID))
}

func parseCursor(s string) (*build.Run, error) {
	text, err := base64.RawURLEncoding.DecodeString(s)
	at, id, ok := strings.Cut(string(text), "/")
	requested, failed := time.Parse(time.RFC3339Nano, at)
	if err != nil || !ok || failed != nil || !build.ValidID(id) {
		return nil, errCursor()
	}
	return &build.Run{ID: id, Status: build.Status{Requested: requested}}, nil
}

func errCursor() error {
	return invalid("The parameter cursor is none that this API gave: begin without it")
}

// rejectedOf returns the build that an object shows as rejected, none if it shows a different one or
// cannot be read. It never had a run.
func (h *handler) rejectedOf(c *call, o build.ObjectRef) []*build.Run {
	object, err := h.registry.ObjectAs(c.Context(), c.principal.Token, o)
	if err != nil {
		return nil
	}
	record := build.RecordOf(object, h.Clock())
	if record.Build == "" || !record.Reason.Rejects() || !record.Started.IsZero() {
		return nil
	}
	if _, err := h.state.Find(build.RunName(record.Build)); err == nil {
		return nil
	}
	run := record.Run()
	run.Object = o
	return []*build.Run{&run}
}

func newestFirst(runs []*build.Run) []*build.Run {
	slices.SortFunc(runs, func(a, b *build.Run) int { return build.CompareRuns(b, a) })
	return runs
}
