// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"sync"

	"github.com/drogue-iot/ajour/pkg/build"
)

// maxRemembered bounds each part of a memory. What is forgotten is read, written or announced
// anew, with the same outcome and the same event id.
const maxRemembered = 20_000

// memory is what a replica knows to be done. It saves work, and nothing depends on it. The
// zero value is ready to use.
type memory struct {
	mu sync.Mutex
	// written is what the object of a build has.
	written map[build.ObjectRef]written
	// announced are the ends that were announced.
	announced map[end]bool
	// counted are the ends that were counted.
	counted map[end]bool
	// lost are runs that were deleted before they ended, by their names.
	lost map[string]build.Run
}

// written is the state of a build that its object has.
type written struct {
	id       string
	phase    build.Phase
	reason   build.Reason
	progress float64
	commit   string
}

func writtenOf(r build.Run) written { return written{r.ID, r.Phase, r.Reason, r.Progress, r.Commit} }

// end is how a build ended. One that was given up before it had a run may end twice.
type end struct {
	id    string
	phase build.Phase
}

// leastMove is how far the progress of a build moves, in percent, before it alone is written: however
// long a build takes, that makes some twenty writes.
const leastMove = 5

// has reports whether the object has the state of a build, and its end was announced.
func (m *memory) has(r build.Run) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	is, was := writtenOf(r), m.written[r.Object]
	if moved := is.progress - was.progress; moved > 0 && moved < leastMove {
		is.progress = was.progress
	}
	return is == was && (!r.Phase.Final() || m.announced[end{r.ID, r.Phase}])
}

// wrote remembers that the object has the state of a build.
func (m *memory) wrote(r build.Run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.written == nil || len(m.written) >= maxRemembered {
		m.written = map[build.ObjectRef]written{}
	}
	m.written[r.Object] = writtenOf(r)
}

// forget has an object read anew.
func (m *memory) forget(o build.ObjectRef) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.written, o)
}

func (m *memory) isAnnounced(r build.Run) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.announced[end{r.ID, r.Phase}]
}

func (m *memory) announce(r build.Run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.announced == nil || len(m.announced) >= maxRemembered {
		m.announced = map[end]bool{}
	}
	m.announced[end{r.ID, r.Phase}] = true
}

// count reports whether an end was not counted yet, and remembers that it is now.
func (m *memory) count(r build.Run) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counted == nil || len(m.counted) >= maxRemembered {
		m.counted = map[end]bool{}
	}
	e := end{r.ID, r.Phase}
	defer func() { m.counted[e] = true }()
	return !m.counted[e]
}

// lose remembers a run that was deleted before it ended.
func (m *memory) lose(r build.Run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost == nil || len(m.lost) >= maxRemembered {
		m.lost = map[string]build.Run{}
	}
	m.lost[r.Name] = r
}

// found returns a run that was lost, and forget it by calling done.
func (m *memory) found(name string) (r build.Run, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok = m.lost[name]
	return r, ok
}

func (m *memory) done(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.lost, name)
}
