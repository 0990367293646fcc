// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"sync"

	"github.com/drogue-iot/ajour/pkg/build"
)

// change is a build as it is after something of it changed, or as it was last when its run was
// deleted. All subscribers share it.
type change struct {
	run  *build.Run
	gone bool
	// data is what is sent of it, made once and when it is needed first.
	data func() ([]byte, error)
}

// hub hands each change of the state to all who subscribe.
type hub struct {
	make func(r *build.Run, gone bool) ([]byte, error)

	mu   sync.Mutex
	subs map[*subscription]struct{}
}

func (h *hub) subscribe() *subscription {
	s := &subscription{hub: h, more: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs == nil {
		h.subs = map[*subscription]struct{}{}
	}
	h.subs[s] = struct{}{}
	return s
}

// changed takes one change. The state waits for it meanwhile.
func (h *hub) changed(r build.Run, deleted bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.subs) == 0 {
		return
	}
	c := &change{run: &r, gone: deleted}
	c.data = sync.OnceValues(func() ([]byte, error) { return h.make(c.run, c.gone) })
	for s := range h.subs {
		s.add(c)
	}
}

// maxChanges is how many builds may have changed that a subscriber has not taken. One that is slower
// than that gets all of the state instead.
const maxChanges = 4096

// subscription collects changes until they are taken: the last one of each build.
type subscription struct {
	hub *hub
	// more has a value when there is something to take.
	more chan struct{}

	mu      sync.Mutex
	changes map[string]*change
	order   []string
	behind  bool
}

func (s *subscription) add(c *change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch _, there := s.changes[c.run.Name]; {
	case s.behind:
		return
	case there:
		s.changes[c.run.Name] = c
		return
	case len(s.order) == maxChanges:
		s.changes, s.order, s.behind = nil, nil, true
	default:
		if s.changes == nil {
			s.changes = map[string]*change{}
		}
		s.changes[c.run.Name], s.order = c, append(s.order, c.run.Name)
	}
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// take returns what has changed since the last call, in the order in which builds changed first. It
// reports whether that is not all, so that the state has to be read as a whole.
func (s *subscription) take() (changes []*change, behind bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.order {
		changes = append(changes, s.changes[name])
	}
	behind = s.behind
	s.changes, s.order, s.behind = nil, nil, false
	return changes, behind
}

func (s *subscription) close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.subs, s)
}
