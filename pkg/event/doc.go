// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package event knows the CloudEvents of a build: how ours are made and read,
// what is read of Drogue's and Tekton's, and how events travel over HTTP.
//
// Events are hints. What they say is checked, and then looked up at its source:
// a change event is never trusted for a uid (contract EVT-7), a Tekton event
// never for the state of a run.
package event
