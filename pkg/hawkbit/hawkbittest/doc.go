// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package hawkbittest is an Eclipse hawkBit in memory, for tests: of its Management
// API what a publisher needs, and of its Direct Device Integration API (DDI) what a
// device or the update server does. It answers as real servers of two generations
// were recorded to (rules HBW-1 to HBW-122 of docs/contracts/hawkbit.md, named where they are
// carried out).
//
// What is left out: rollouts, target groups and filters, tags, metadata, attributes, the
// confirmation flow, maintenance windows, deletion of single artifacts, CBOR,
// and the rate limit other than by [Server.Limit].
package hawkbittest
