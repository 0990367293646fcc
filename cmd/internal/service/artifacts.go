// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"fmt"
	"strings"
)

// Artifacts says where builds publish to.
type Artifacts struct {
	Prefix    string `envconfig:"REGISTRY_PREFIX" required:"true" desc:"put in front of the image of a description, as in quay.io/acme/"`
	PlainHTTP bool   `envconfig:"REGISTRY_PLAIN_HTTP" default:"false" desc:"speak HTTP to the OCI registry"`
}

// Check refuses a prefix that is none.
func (a Artifacts) Check() error {
	if !strings.HasSuffix(a.Prefix, "/") || strings.Contains(a.Prefix, "://") {
		return fmt.Errorf("REGISTRY_PREFIX: %q has a scheme, or no slash at its end: write it as in quay.io/acme/", a.Prefix)
	}
	return nil
}
