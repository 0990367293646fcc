// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package tekton turns build requests into Tekton PipelineRuns, and reads builds
// back from them. It is the only package of the services that knows Tekton.
//
// Rendering and observing are pure functions. A PipelineRun carries everything
// that is known of a build: its labels make it found, its annotations keep names
// and the description as they were written, which labels could not hold.
package tekton
