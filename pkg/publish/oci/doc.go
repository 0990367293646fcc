// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package oci pushes a firmware to an OCI registry, in the layout that the update server
// of Drogue reads, and pulls it from there.
package oci
