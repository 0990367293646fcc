// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"time"
)

// Waits between two looks at a run. Many may follow builds that do not start for long.
const (
	shortWait = 200 * time.Millisecond
	longWait  = 2 * time.Second
)

func longer(wait time.Duration) time.Duration { return min(2*wait, longWait) }

// pause waits between two looks at a run.
func pause(ctx context.Context, wait time.Duration) error {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
