// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"errors"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/internal/proxy"
)

// Proxies are what the steps of builds, the builder included, connect through.
type Proxies struct {
	// HTTPS is the URL of the proxy for https and for ssh, HTTP that for http; empty for none.
	HTTPS, HTTP string
	// No lists the hosts that are connected to without one, separated by commas.
	No string
	// FromSecret takes them from the Secret [SecretProxy] of the namespace of builds, which
	// may have a password.
	FromSecret bool
}

// SecretProxy is the Secret with the addresses of proxies, under the keys https-proxy,
// http-proxy and no-proxy, each optional.
const SecretProxy = "proxy"

func (p Proxies) validate(s Sources) error {
	direct := proxy.Settings{HTTPS: p.HTTPS, HTTP: p.HTTP, No: p.No}
	switch {
	case p.FromSecret && direct != (proxy.Settings{}):
		return errors.New("the addresses of proxies are in the Secret " + SecretProxy + ", or in variables: not in both")
	case direct.HasPassword():
		return errors.New("the address of a proxy has a user or a password: put it into the Secret " + SecretProxy)
	case (p.FromSecret || direct.Any()) && !slices.Contains(strings.Split(s.Addresses, ","), "any"):
		return errors.New("a proxy resolves the names of hosts, so the addresses of sources cannot be bounded: allow any, " +
			"bound the hosts, and have the proxy refuse addresses of the inside")
	}
	return direct.Validate()
}

// forSteps are the variables by which steps of ours find the proxies. No description sets them.
func (p Proxies) forSteps() (env []corev1.EnvVar) {
	return p.variables(map[string][]string{
		"https": {proxy.VariableHTTPS}, "http": {proxy.VariableHTTP}, "no": {proxy.VariableNo},
	})
}

// forBuilder are the variables by which other programs find them, in both of their spellings,
// but for those that a description sets.
func (p Proxies) forBuilder(d build.Description) []corev1.EnvVar {
	names := map[string][]string{}
	for _, use := range []string{"https", "http", "no"} {
		lower := use + "_proxy"
		upper := strings.ToUpper(lower)
		if !d.Sets(lower) && !d.Sets(upper) {
			names[use] = []string{upper, lower}
		}
	}
	return p.variables(names)
}

// variables gives the proxies to the named variables.
func (p Proxies) variables(names map[string][]string) (env []corev1.EnvVar) {
	for _, a := range []struct{ use, value string }{{"https", p.HTTPS}, {"http", p.HTTP}, {"no", p.No}} {
		for _, name := range names[a.use] {
			switch {
			case p.FromSecret:
				env = append(env, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
					SecretKeyRef: &corev1.SecretKeySelector{
						LocalObjectReference: corev1.LocalObjectReference{Name: SecretProxy},
						Key:                  a.use + "-proxy", Optional: new(true),
					},
				}})
			case a.value != "":
				env = append(env, corev1.EnvVar{Name: name, Value: a.value})
			}
		}
	}
	return env
}
