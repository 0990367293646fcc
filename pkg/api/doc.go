// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package api is the HTTP API of the project: it triggers, lists, shows and
// cancels builds. It serves the seed's path /api/builds/v1alpha1 and the one of
// existing clients, /api/build/v1alpha1, alike.
//
// Every call carries an access token. What a caller may see is what the Drogue
// registry shows to that caller: it is asked with the caller's own token, and an
// object that may not be read answers like one that does not exist (A6).
// Starting and ending builds needs the right trigger-build besides (A4).
//
// Errors are problem details (RFC 9457), which also have the members error and
// message of Drogue's own error bodies.
package api
