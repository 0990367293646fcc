// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package notify shows on a commit of a forge how the builds of it stand: as the commit status of
// GitHub, GitLab, and Gitea or Forgejo.
//
// All that it knows of a build is in the event. A token goes to the hosts that the operator has
// listed, and to no address that an event or an answer names.
package notify
