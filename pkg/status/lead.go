// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

const (
	// recent is how long after its end a build is part of each resync.
	recent = 10 * time.Minute
	// fullEvery is the number of resyncs after which the objects of all builds are read anew.
	fullEvery = 20
)

// Lead queues each run that changes, and resyncs, until the context ends. One replica at a
// time should run it.
func (s *Service) Lead(ctx context.Context) error {
	defer s.state.Watch(func(r build.Run, deleted bool) {
		if deleted && r.Active() {
			s.memory.lose(r)
		}
		if !deleted || r.Active() {
			s.queue.Add(r.Name)
		}
	})()
	tick := time.NewTicker(s.Resync)
	defer tick.Stop()
	for round := 0; ; round++ {
		s.resync(round%fullEvery == 0)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// resync queues the newest build of each object, and has its object read anew. Unless all is
// set, builds that ended long ago are left out.
func (s *Service) resync(all bool) {
	for _, r := range s.state.List(build.Query{Newest: true}) {
		if all || r.Active() || s.Clock().Sub(r.Completed) <= recent {
			s.memory.forget(r.Object)
			s.queue.Add(r.Name)
		}
	}
}
