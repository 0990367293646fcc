// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package builder consumes requests for builds, cancellations, and changes of objects in the
// Drogue registry.
//
// A [New] handler turns an event into a run that is pending, and no more: it reads the object
// itself and builds that description, whatever the event says. Every handler can be repeated
// at any point: the name of a run follows from the id of the build, and the id of a build
// that a change asks for follows from the object, its description and the build before.
//
// The [Leader] decides which runs start, are superseded or are deleted. One pure function,
// plan, decides from the present builds; each action has a precondition, so that a plan from
// a stale view fails instead of doing harm.
package builder
