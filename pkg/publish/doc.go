// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package publish puts a firmware artifact where the update server finds it.
//
// The folder that the artifact is read from is hostile: a builder may have left
// symbolic links, FIFOs or devices in it. Nothing outside of it is ever opened,
// and no program is run.
package publish
