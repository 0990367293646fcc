// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package status consumes the life cycle of runs, and writes what it means onto
// the Drogue objects: the seed's two conditions into status.firmware, beside
// what the update server keeps there, and the whole record into
// status.firmwareBuild.
//
// An event only says which run to look at. What is written is decided from the
// run as it is and from the record as it is, so that events may be lost, come
// twice, late or in any order: a build never goes back, and an older one never
// overwrites a newer one. What is lost is found by looking at all runs from time
// to time.
package status
