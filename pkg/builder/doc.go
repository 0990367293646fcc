// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package builder consumes requests for builds, cancellations, and changes of
// objects in the Drogue registry, and makes runs of them.
//
// Every handler can be repeated at any point: the name of a run follows from
// the id of the build, and the id of a build that a change asks for follows from
// the object, its description and the build before. What an event says is only
// where to look.
package builder
