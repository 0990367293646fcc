// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"sync"

	"github.com/drogue-iot/ajour/pkg/build"
)

// maxTold bounds what is remembered. Whoever forgets says the same once more, under the
// same id.
const maxTold = 10_000

// told are the builds whose end is known to be announced.
type told struct {
	mu   sync.Mutex
	ends map[end]bool
}

// end is how a build ended. One that was given up before it had a run may end twice.
type end struct {
	id    string
	phase build.Phase
}

func (t *told) has(run build.Run) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ends[end{run.ID, run.Phase}]
}

func (t *told) add(run build.Run) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ends == nil || len(t.ends) >= maxTold {
		t.ends = map[end]bool{}
	}
	t.ends[end{run.ID, run.Phase}] = true
}
