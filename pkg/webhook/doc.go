// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package webhook reads what forges send when somebody pushes: GitHub, GitLab, Gitea and Forgejo,
// Bitbucket Cloud and Bitbucket Data Center. It verifies who sent it, and reduces it to a
// [build.Push]. It calls nobody, whatever addresses a payload names.
package webhook
