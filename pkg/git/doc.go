// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package git fetches one revision of a repository into a folder.
//
// It runs the git binary rather than a library: what users expect of a
// repository (partial fetches of a single commit, every server's dialect, later
// submodules and LFS) is defined by what git does. Git is asked to ignore all
// configuration of the machine, to speak only http, https and ssh, to run no
// hooks and no filters, and never to ask for anything. No string of a user
// reaches it as an option.
package git
