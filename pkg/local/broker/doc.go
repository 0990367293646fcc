// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package broker is a Knative broker in one process, for the embedded mode. It
// routes by the Trigger manifests of a cluster's installation, filters with
// Knative's own filters, and delivers over HTTP by Knative's rules: what is
// answered with 404, 408, 409, 429 or 5xx, or not at all, is redelivered
// with a growing delay; any other refusal and the last failure go to the dead
// letters.
//
// An event is on disk before its publisher is answered, and stays there until
// every subscriber has taken it: none is lost when the process dies. Deliveries
// are at least once and in no order, as with Knative's default broker.
package broker
