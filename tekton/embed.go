// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package tekton carries the product's StepActions, Tasks and Pipelines, for the embedded
// mode, which runs the same files that a cluster is given.
package tekton

import "embed"

// Files holds stepactions/*.yaml, tasks/*.yaml and pipelines/*.yaml.
//
//go:embed stepactions/*.yaml tasks/*.yaml pipelines/*.yaml
var Files embed.FS
