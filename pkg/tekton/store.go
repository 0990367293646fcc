// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/tools/cache"

	"github.com/drogue-iot/ajour/pkg/build"
)

// ErrNotSynced says that a store does not hold the present state yet.
var ErrNotSynced = errors.New("the builds of the cluster are not read yet")

// The indexes of a store.
const (
	indexObject      = "object"
	indexApplication = "application"
	indexActive      = "active"
)

// Store is the present state of the builds of one namespace, in memory and indexed. It is fed
// by a [Reflector] or by the run engine of "ajour dev". The runs in it have no description:
// [Client.Get] reads one in full.
//
// It may be behind what the cluster knows by the delay of a watch. A decision that must not
// be stale relies on the name of a run, or acts with a precondition.
type Store struct {
	runs cache.Indexer

	// mu orders changes, so that all watchers see them in the same order.
	mu       sync.Mutex
	counts   map[string]count // by the names of runs
	clock    func() time.Time
	synced   chan struct{} // closed when the store is synced
	watchers map[int]func(build.Run, bool)
	next     int
}

// NewStore returns an empty store, which is not synced.
func NewStore() *Store {
	return &Store{
		runs: cache.NewIndexer(func(o any) (string, error) { return runOf(o).Name, nil }, cache.Indexers{
			indexObject:      by(func(r *build.Run) string { return r.Object.Hash() }),
			indexApplication: by(func(r *build.Run) string { return r.Object.Application }),
			indexActive: func(o any) ([]string, error) {
				if active(runOf(o)) {
					return []string{indexActive}, nil
				}
				return nil, nil
			},
		}),
		clock: time.Now, synced: make(chan struct{}), watchers: map[int]func(build.Run, bool){},
	}
}

// runOf returns what a store has. It has nothing but builds.
func runOf(o any) *build.Run {
	return o.(*build.Run) //nolint:forcetypeassert // see above
}

func active(r *build.Run) bool { return r.Active() || r.Lingering }

func by(key func(*build.Run) string) cache.IndexFunc {
	return func(o any) ([]string, error) { return []string{key(runOf(o))}, nil }
}

// Ready returns [ErrNotSynced] until the store holds the present state.
func (s *Store) Ready() error {
	select {
	case <-s.synced:
		return nil
	default:
		return ErrNotSynced
	}
}

// WhenSynced calls f when the store holds the present state, unless the context ends first.
func (s *Store) WhenSynced(ctx context.Context, f func(context.Context) error) error {
	select {
	case <-s.synced:
		return f(ctx)
	case <-ctx.Done():
		return nil
	}
}

// Find returns the build of a run, by the name of the run. It returns [build.ErrNotFound] if
// there is none.
func (s *Store) Find(name string) (build.Run, error) {
	o, ok, err := s.runs.GetByKey(name)
	if err != nil || !ok {
		return build.Run{}, fmt.Errorf("run %s: %w", name, build.ErrNotFound)
	}
	return *runOf(o), nil
}

// List returns the builds that a query selects, in no particular order.
func (s *Store) List(q build.Query) []build.Run {
	found := s.find(q)
	runs := make([]build.Run, 0, len(found))
	for _, o := range found {
		runs = append(runs, *runOf(o))
	}
	return runs
}

// Each calls f for each build that a query selects, in no particular order. It copies none of them: f
// may keep what it gets, and must not change it.
func (s *Store) Each(q build.Query, f func(*build.Run)) {
	for _, o := range s.find(q) {
		f(runOf(o))
	}
}

func (s *Store) find(q build.Query) []any {
	var found []any
	switch {
	case q.Object != (build.ObjectRef{}):
		found, _ = s.runs.ByIndex(indexObject, q.Object.Hash()) // the index exists
	case q.Application != "":
		found, _ = s.runs.ByIndex(indexApplication, q.Application)
	case q.Active:
		found, _ = s.runs.ByIndex(indexActive, indexActive)
	default:
		found = s.runs.List()
	}
	if q.Active {
		found = slices.DeleteFunc(found, func(o any) bool { return !active(runOf(o)) })
	}
	if q.Newest {
		found = newest(found)
	}
	return found
}

// newest returns the newest build of each object. It copies no build: a console asks for this
// of all builds every few seconds.
func newest(runs []any) (list []any) {
	at := map[build.ObjectRef]int{}
	for _, o := range runs {
		r := runOf(o)
		switch i, ok := at[r.Object]; {
		case !ok:
			at[r.Object] = len(list)
			list = append(list, o)
		case build.CompareRuns(r, runOf(list[i])) > 0:
			list[i] = o
		}
	}
	return list
}

// Watch calls f for each change from now on, until stop is called: with the build as it is
// then, or as it was last when its run was deleted. Calls follow each other in the order of
// the changes. f must return quickly and must not change the store.
func (s *Store) Watch(f func(r build.Run, deleted bool)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.next
	s.next++
	s.watchers[id] = f
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, id)
	}
}

// Replace sets all of the state at once. The store is synced then.
func (s *Store) Replace(runs []build.Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := map[string]*build.Run{}
	for _, o := range s.runs.List() {
		r := runOf(o)
		old[r.Name] = r
	}
	list, now := make([]any, len(runs)), make([]*build.Run, len(runs))
	for i := range runs {
		runs[i].Description = build.Description{}
		list[i], now[i] = &runs[i], &runs[i]
	}
	_ = s.runs.Replace(list, "") // its key function never fails
	for i, r := range now {
		if r.Phase == build.Running || old[r.Name] != nil { // whose progress depends on the others
			moved := *r
			s.move(&moved, old[r.Name])
			_, now[i] = s.runs.Update(&moved), &moved
		}
	}
	for _, r := range now {
		if was, ok := old[r.Name]; !ok || !reflect.DeepEqual(was, r) {
			s.notify(*r, false)
		}
		delete(old, r.Name)
	}
	for _, r := range old {
		s.notify(*r, true)
	}
	if s.Ready() != nil {
		close(s.synced)
	}
}

// Set adds a build, or replaces it.
func (s *Store) Set(r build.Run) {
	r.Description = build.Description{}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(r)
}

func (s *Store) set(r build.Run) {
	var was *build.Run
	if old, ok, _ := s.runs.GetByKey(r.Name); ok {
		was = runOf(old)
	}
	s.move(&r, was)
	if was != nil && reflect.DeepEqual(was, &r) {
		return
	}
	_ = s.runs.Update(&r) // its key function never fails
	s.notify(r, false)
}

// move sets the progress of a build, which never falls while its run is the same.
func (s *Store) move(r, was *build.Run) {
	if r.Phase == build.Running {
		history := slices.DeleteFunc(s.List(build.Query{Object: r.Object}), func(o build.Run) bool {
			return !build.SameUID(o.UIDs.Of(), r.UIDs.Of())
		})
		r.Progress, r.Expected = progressOf(r, history, s.counts[r.Name].part, s.clock())
	}
	if was == nil || was.UID != r.UID || r.Phase == build.Succeeded {
		return
	}
	moved := r.Progress - was.Progress
	if moved < 0 || moved < leastMove && r.Phase == was.Phase && r.Reason == was.Reason {
		r.Progress = was.Progress
	}
}

// advance moves the progress of all builds that run, with the counts of their builders.
func (s *Store) advance(counts map[string]count) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts = counts
	for _, r := range s.List(build.Query{Active: true}) {
		if r.Phase == build.Running {
			s.set(r)
		}
	}
}

// Remove removes the build of a run, by the name of the run.
func (s *Store) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok, _ := s.runs.GetByKey(name); ok {
		_ = s.runs.Delete(old)
		s.notify(*runOf(old), true)
	}
}

func (s *Store) notify(r build.Run, deleted bool) {
	for _, f := range s.watchers {
		f(r, deleted)
	}
}
