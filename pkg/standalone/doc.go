// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package standalone runs the whole of Ajour in one process on one machine: the
// services with the same handlers, Triggers, Pipelines and Tasks as a cluster
// has, and in place of everything around them an embedded broker, run engine,
// OCI registry, OIDC issuer and Drogue registry.
//
// What belongs to people is served at one address. The broker and its
// subscribers talk to each other on a second one, which is chosen by the system
// and only reachable from this machine.
package standalone
