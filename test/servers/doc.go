// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package servers starts real servers for tests, on addresses of this machine alone,
// and ends them with the test: the forge Gitea, with git by HTTP, HTTPS and ssh, private
// repositories and LFS, and the OCI registry of Debian's package docker-registry.
package servers
