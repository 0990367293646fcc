// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package registry is a Drogue device registry in one process, for tests and
// for the embedded mode. It answers as the records of the real service do: the
// validation and its order, the error bodies, PUT as full replacement under uid
// and resourceVersion, membership, soft deletion, label selectors, limits,
// number rewriting, and change events with their wrong uids. A client that
// works against it works against Drogue.
//
// Its state is in one bbolt file. An event is stored in the transaction that
// changes the object (an outbox, as in the real service), and is resent
// until the sink takes it: none is lost when the process dies.
//
// Left out, because no client of this project meets them: transfer of
// ownership, trust anchors and what is derived from them, positional JSON arrays
// as objects, the exact column numbers in messages of the JSON decoder, last
// digits of floats that the real service rounds, and the largest of all floats,
// which it stores and can then not read (N2).
package registry
