// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"io"

	"github.com/drogue-iot/ajour/pkg/build"
)

// OpenArchived reads what was archived of a step.
func OpenArchived(ctx context.Context, k *LogArchive, run, step string, o build.LogOptions) (io.ReadCloser, error) {
	return k.open(ctx, run, step, o)
}
