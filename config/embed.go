// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package config carries the Knative Triggers of the installation, for the
// embedded mode, whose broker routes events by the same files.
package config

import "embed"

// Triggers holds base/*-trigger-*.yaml.
//
//go:embed base/*-trigger-*.yaml
var Triggers embed.FS

// CommitStatus holds the Trigger of the component of that name.
//
//go:embed components/commit-status/trigger.yaml
var CommitStatus embed.FS
