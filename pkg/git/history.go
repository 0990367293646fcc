// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"context"
	"fmt"

	"github.com/drogue-iot/ajour/pkg/build"
)

// History says how much of a repository's history a build has.
type History string

// The kinds of history. Without one, there is a single commit.
const (
	// HistoryTags brings the commits and tags of all branches, without their files: enough for
	// "git describe" and to count commits.
	HistoryTags = History(build.HistoryTags)
	// HistoryFull brings all of the repository.
	HistoryFull = History(build.HistoryFull)
)

// Validate refuses what is no kind of history.
func (h History) Validate() error {
	if h != "" && h != HistoryTags && h != HistoryFull {
		return fmt.Errorf("history %q is neither tags nor full", string(h))
	}
	return nil
}

// unlimited is the depth that git takes for all of a history.
const unlimited = "--depth=2147483647"

// deepen fetches the history that is asked for, of a commit that is checked out.
func (f *fetcher) deepen(ctx context.Context) error {
	switch f.History {
	case HistoryTags:
		return f.fetchCommits(ctx, unlimited)
	case HistoryFull:
		return f.fetchHistory(ctx, unlimited)
	default:
		return nil
	}
}
