// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package status writes the state of builds onto the Drogue objects: the seed's two
// conditions into status.firmware, beside what the update server keeps there, and the full
// record into status.firmwareBuild.
//
// It is a workqueue of runs. The leader queues each run that changes, by a watch; Tekton's
// events are hints that queue a run in whichever replica they reach. A worker reads the run
// as it is then, and the record as it is, and writes what differs: events may be lost,
// repeated, late or in any order, a build never goes back, and an older one never overwrites
// a newer one.
//
// Conditions can also vanish from an object: a device report that the update server handles
// drops them (COND-5). The leader therefore reads objects anew from time to time.
package status
