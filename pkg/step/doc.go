// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package step is what the two step images that the project owns have in common. Their
// programs are pkg/step/fetch and pkg/step/publish: each links no more than its work
// needs, for it runs beside source or credentials. A step reads its parameters from its
// arguments, does its work with pkg/git or pkg/publish, and leaves Tekton results: what
// it made, or the reason and message of its failure.
//
// The images and the embedded mode run the same programs.
package step
