// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/internal/proxy"
)

// SecretProxy is the Secret of the namespace of builds with the addresses of proxies, under the keys
// https-proxy and, optional, http-proxy and no-proxy. A step takes them from nowhere else: whoever
// takes over the builder's account must not lead a step with credentials through a proxy of theirs.
const SecretProxy = "proxy"

// proxyUses are the parts of the names of keys and variables.
var proxyUses = []string{"https", "http", "no"}

// proxiesOfSteps are the variables by which steps of ours find the proxies. No description sets them.
func proxiesOfSteps() (env []corev1.EnvVar) {
	for i, name := range []string{proxy.VariableHTTPS, proxy.VariableHTTP, proxy.VariableNo} {
		env = append(env, proxyVariable(name, proxyUses[i]))
	}
	return env
}

// proxiesOfBuilder are the variables by which other programs find them, in both of their spellings,
// but for those that a description sets.
func proxiesOfBuilder(d build.Description) (env []corev1.EnvVar) {
	for _, use := range proxyUses {
		lower := use + "_proxy"
		upper := strings.ToUpper(lower)
		if !d.Sets(lower) && !d.Sets(upper) {
			env = append(env, proxyVariable(upper, use), proxyVariable(lower, use))
		}
	}
	return env
}

func proxyVariable(name, use string) corev1.EnvVar {
	ref := &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: SecretProxy}, Key: use + "-proxy",
	}
	if use != "https" {
		ref.Optional = new(true)
	}
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: ref}}
}
