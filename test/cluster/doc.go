// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command cluster runs a real Kubernetes cluster of one node on this machine,
// with Tekton Pipelines and Knative Eventing, for tests and for playing. All of it
// is compiled from the Go modules that tools/go.mod pins, or comes from Debian
// packages; no image is pulled from anywhere.
//
// The cluster lives in network, pid and mount namespaces of its own. The network
// of the machine is not touched, nothing in the cluster can reach beyond it, and
// when process 1 of the sandbox is killed, every process, mount and network device
// is gone. The one way in is a proxy on a port of the loopback address, which the
// kubeconfig and the output of "cluster env" name.
//
// Programs and images are stored in the user's cache folder, by version, so that the
// second start takes seconds. It has to be run as root, in the folder of the
// repository.
package main
