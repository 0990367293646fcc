// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package runner is what Tekton is to a cluster, in one process, for the
// embedded mode: it keeps PipelineRuns and TaskRuns, carries them out on this
// machine, and sends the CloudEvents that Tekton sends. It has the part of
// Tekton's typed client that the services use, so they cannot tell it from a
// cluster.
//
// Pipelines and Tasks are the ones of a cluster's installation. Their
// validation, defaults, substitution and order are Tekton's own code; only the
// pod is replaced. The steps that the project owns run as processes of its own
// binary. A builder image runs in podman or docker; an image that is mapped to a
// program of this machine runs as a plain process, in a folder of its own, with
// only the environment that was declared for it. Such a process is not isolated
// from its user: it is for sources that are trusted.
//
// A step cannot read the results of a second step of the same task: no pipeline that "ajour
// dev" is given needs that.
//
// A run that is interrupted by the end of the process starts over, from its
// first task and with an empty workspace, when the runner comes back. The volume of a
// run's workspace outlives it if [Options.Keep] says so; a second run finds it by the
// name of its claim.
package runner
