// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

const (
	// maxStreams is how many streams one caller may have open.
	maxStreams = 5
	// retryAfter is when a browser comes back after it was cut off.
	retryAfter = 2 * time.Second
	// collect is how long changes are collected before they are sent: a build that changes several
	// times at once is sent once.
	collect = 50 * time.Millisecond
)

// Streams says how often a stream does something by itself.
type Streams struct {
	// Beat is the interval of a comment, by which proxies and clients see that the stream lives; 15
	// seconds if 0.
	Beat time.Duration
	// Renew is the interval at which the registry is asked what the caller may read; 30 seconds if 0.
	Renew time.Duration
}

// streamEvents sends changes of builds as server-sent events until the token of the caller expires:
// at first those that have not ended, as "snapshot", then each that changes, as "build", and the id
// of each that was deleted, as "gone". There is no replay: who was cut off gets a snapshot.
func (h *handler) streamEvents(w http.ResponseWriter, c *call) error {
	q, id, err := h.streamed(c)
	if err != nil {
		return err
	}
	applications, err := h.readableApplications(c)
	if err != nil {
		return err
	}
	if !h.streams.add(c.principal.Subject, maxStreams) {
		return problem(http.StatusTooManyRequests, "TooManyStreams",
			"You have "+strconv.Itoa(maxStreams)+" streams open already: end one of them")
	}
	defer h.streams.remove(c.principal.Subject)
	s := &stream{
		handler: h, call: c, out: flushing{w, http.NewResponseController(w)}, query: q, id: id, applications: applications,
		changes: h.hub.subscribe(),
	}
	defer s.changes.close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy would collect them
	w.WriteHeader(http.StatusOK)
	s.run()
	return nil
}

// streamed reads which builds a stream is about: those of an application and its devices, of one
// object, or one build.
func (h *handler) streamed(c *call) (q build.Query, id string, err error) {
	object, err := c.named()
	switch {
	case err != nil:
		return q, "", err
	case c.query.Has("build") && object != (build.ObjectRef{}):
		return q, "", invalid("The parameter build stands alone: set no application and no device")
	case c.query.Has("build"):
		c.id = c.query.Get("build")
		run, _, err := h.find(c)
		if err != nil {
			return q, "", err
		}
		return build.Query{Object: run.Object}, run.ID, nil
	case object == (build.ObjectRef{}):
		return q, "", nil
	case object.Device == "":
		return build.Query{Application: object.Application}, "", nil
	default:
		return build.Query{Object: object}, "", nil
	}
}

// readableApplications returns the uids of the applications that the caller may read, by name.
func (h *handler) readableApplications(c *call) (map[string]string, error) {
	list, err := h.applications(c)
	if err != nil {
		return nil, err
	}
	uids := make(map[string]string, len(list))
	for _, a := range list {
		uids[a.Object.Application] = a.UID
	}
	return uids, nil
}

// stream is one that is open.
type stream struct {
	handler      *handler
	call         *call
	out          io.Writer
	query        build.Query
	id           string
	applications map[string]string
	changes      *subscription
	// refused are the UIDs of applications that the caller could not read when a build of theirs changed.
	refused map[string]bool
}

// run sends until the caller is gone, or the token has expired.
func (s *stream) run() {
	ctx := s.call.Context()
	beat, renew := time.NewTicker(s.handler.Streams.Beat), time.NewTicker(s.handler.Streams.Renew)
	defer beat.Stop()
	defer renew.Stop()
	var expired <-chan time.Time
	if at := s.call.principal.Expires; !at.IsZero() {
		timer := time.NewTimer(at.Sub(s.handler.Clock()))
		defer timer.Stop()
		expired = timer.C
	}
	_, err := fmt.Fprintf(s.out, "retry: %d\n\n", retryAfter.Milliseconds())
	if err == nil {
		err = s.snapshot()
	}
	for err == nil {
		select {
		case <-ctx.Done():
			return
		case <-expired:
			_ = s.send("expired", []byte("{}")) // that is all anyway
			return
		case <-beat.C:
			_, err = io.WriteString(s.out, ": alive\n\n")
		case <-renew.C:
			err = s.renew()
		case <-s.changes.more:
			err = s.drain(ctx.Done())
		}
	}
	if errors.Is(err, build.ErrUnauthenticated) {
		_ = s.send("expired", []byte("{}"))
	}
}

// drain sends what has changed.
func (s *stream) drain(done <-chan struct{}) error {
	timer := time.NewTimer(collect)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
	}
	changes, behind := s.changes.take()
	if behind {
		return s.snapshot()
	}
	if slices.ContainsFunc(changes, s.isNew) { // and would be unknown until the next renewal
		if err := s.renew(); err != nil {
			return err
		}
	}
	var text bytes.Buffer // all of them are sent at once
	for _, c := range changes {
		if !s.selects(c.run) {
			continue
		}
		data, err := c.data()
		if err != nil {
			return err
		}
		kind := "build"
		if c.gone {
			kind = "gone"
		}
		writeEvent(&text, kind, data)
	}
	if text.Len() == 0 {
		return nil
	}
	_, err := s.out.Write(text.Bytes())
	return err
}

// snapshot sends the builds that have not ended, or the one that the stream is about.
func (s *stream) snapshot() error {
	q := s.query
	q.Active = s.id == ""
	var runs []*build.Run
	list := s.handler.state.List(q)
	for i := range list {
		if s.selects(&list[i]) {
			runs = append(runs, &list[i])
		}
	}
	data, err := json.Marshal(s.handler.show(newestFirst(runs)))
	if err != nil {
		return err
	}
	return s.send("snapshot", data)
}

// selects reports whether the stream is about a build, which the caller may read.
func (s *stream) selects(r *build.Run) bool {
	uid, readable := s.applications[r.Object.Application]
	return readable && build.SameUID(r.UIDs.Application, uid) && (s.id == "" || s.id == r.ID) &&
		(s.query.Object == build.ObjectRef{} || s.query.Object == r.Object) &&
		(s.query.Application == "" || s.query.Application == r.Object.Application)
}

// isNew reports whether a change is of an application that was not there, or not of the caller, when the
// registry was asked. It does so once for an application: most of them are of others.
func (s *stream) isNew(c *change) bool {
	app, uid := c.run.Object.Application, c.run.UIDs.Application
	if s.query.Application != "" && s.query.Application != app || s.id != "" && s.id != c.run.ID ||
		s.query.Object.Application != "" && s.query.Object.Application != app {
		return false
	}
	if known, ok := s.applications[app]; ok && known == uid || s.refused[uid] {
		return false
	}
	if s.refused == nil {
		s.refused = map[string]bool{}
	}
	s.refused[uid] = true
	return true
}

// renew looks what the caller may read now. A registry that is away changes nothing.
func (s *stream) renew() error {
	now, err := s.handler.readableApplications(s.call)
	if errors.Is(err, build.ErrUnauthenticated) {
		return err
	}
	if err == nil && !maps.Equal(now, s.applications) {
		s.applications = now
		return s.snapshot()
	}
	return nil
}

// send sends one event. Its data is JSON, which has no line breaks.
func (s *stream) send(kind string, data []byte) error {
	var text bytes.Buffer
	writeEvent(&text, kind, data)
	_, err := s.out.Write(text.Bytes())
	return err
}

func writeEvent(text *bytes.Buffer, kind string, data []byte) {
	text.Grow(len(data) + len(kind) + 32)
	fmt.Fprintf(text, "event: %s\ndata: %s\n\n", kind, data)
}

// gone is the data of an event "gone".
type gone struct {
	ID string `json:"id"`
}

// changed is the data of an event of a build.
func (h *handler) changed(r *build.Run, deleted bool) ([]byte, error) {
	if deleted {
		return json.Marshal(gone{r.ID})
	}
	return json.Marshal(h.placed(r))
}
