// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Layout is how the steps of a build are spread over pods.
type Layout string

// The layouts. See docs/architecture.md for what isolates the steps in each.
const (
	// OnePod runs all steps in one pod, on a volume of that pod.
	OnePod Layout = "pod"
	// PodPerTask runs each step in a pod of its own, on a volume claim.
	PodPerTask Layout = "tasks"
)

// Credentials says whose credentials the steps of a build use.
type Credentials string

// The kinds of credentials.
const (
	// Shared are those of the application, or else those of the installation.
	Shared Credentials = "shared"
	// OwnCredentials are those of the application alone.
	OwnCredentials Credentials = "application"
)

// PullPolicy is that of Kubernetes.
type PullPolicy = corev1.PullPolicy

// Config is what an installation sets for all of its builds.
type Config struct {
	// Namespace is where builds run.
	Namespace string
	// RegistryPrefix is put in front of the image of a description, without
	// anything between them: the update server does the same (OCI-2).
	RegistryPrefix string
	// PlainHTTP speaks HTTP to the OCI registry.
	PlainHTTP bool
	// Sources says where source may come from.
	Sources Sources
	// Credentials says whose credentials a build uses; Shared if empty.
	Credentials Credentials
	// ServiceAccount of the builds; the namespace's default if empty.
	ServiceAccount string
	// Layout of the pods; PodPerTask if empty.
	Layout Layout
	// Storage is the size of the volume claim of PodPerTask; 4Gi if empty. The
	// Tasks limit what one pod may store.
	Storage string
	// PullPolicy of builder images: Always, IfNotPresent or Never; what Kubernetes does by
	// itself if empty.
	PullPolicy PullPolicy
	// Proxies has builds go out by the proxies that the Secret [SecretProxy] names.
	Proxies bool
	// Requests and Limits of the builder's container with OnePod, by resource, such as
	// memory: 4Gi. What is not named keeps its default. With PodPerTask the Task has them.
	Requests, Limits map[string]string
}

// Sources are the flags of the fetch step that bound where source may come from, each
// a list that is separated by commas: see pkg/git/egress.
type Sources struct {
	// Schemes are any of https, ssh and http.
	Schemes string
	// Hosts are names, or "*.NAME"; any host if empty.
	Hosts string
	// Addresses are ranges, "public" or "any".
	Addresses string
}

// Validate returns an error for a configuration that cannot be rendered.
func (c Config) Validate() error {
	if c.Credentials != Shared && c.Credentials != OwnCredentials && c.Credentials != "" {
		return fmt.Errorf("credentials %q are neither %q nor %q", c.Credentials, Shared, OwnCredentials)
	}
	if c.Layout != OnePod && c.Layout != PodPerTask && c.Layout != "" {
		return fmt.Errorf("layout %q is neither %q nor %q", c.Layout, OnePod, PodPerTask)
	}
	switch c.PullPolicy {
	case "", corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever:
	default:
		return fmt.Errorf("pull policy %q is none of Always, IfNotPresent and Never", c.PullPolicy)
	}
	if !build.ValidPrefix(c.RegistryPrefix) {
		return fmt.Errorf(
			"registry prefix %q is none: write a host and, in lower case, a path, as in quay.io/acme/", c.RegistryPrefix,
		)
	}
	if _, err := c.storage(); err != nil {
		return err
	}
	_, err := c.resources()
	return err
}

func (c Config) storage() (resource.Quantity, error) {
	size, err := resource.ParseQuantity(cmp.Or(c.Storage, "4Gi"))
	if err != nil {
		return size, fmt.Errorf("read size of workspace %q: %w", c.Storage, err)
	}
	return size, nil
}

// resources returns what the builder's container reserves and may use. The steps of a pod
// follow each other: what the builder reserves is enough for all.
func (c Config) resources() (corev1.ResourceRequirements, error) {
	requests := map[string]string{"cpu": "500m", "memory": "512Mi", "ephemeral-storage": "256Mi"}
	limits := map[string]string{"memory": "4Gi", "ephemeral-storage": "8Gi"}
	maps.Copy(requests, c.Requests)
	maps.Copy(limits, c.Limits)
	var r corev1.ResourceRequirements
	var err error
	if r.Requests, err = resourceList(requests); err != nil {
		return r, fmt.Errorf("read what a builder reserves: %w", err)
	}
	if r.Limits, err = resourceList(limits); err != nil {
		return r, fmt.Errorf("read limits of a builder: %w", err)
	}
	return r, nil
}

func resourceList(quantities map[string]string) (corev1.ResourceList, error) {
	list := make(corev1.ResourceList, len(quantities))
	for name, quantity := range quantities {
		// Kubernetes would refuse the pod of each build; names with a slash are of devices.
		if !slices.Contains([]string{"cpu", "memory", "ephemeral-storage"}, name) && !strings.Contains(name, "/") {
			return nil, fmt.Errorf("no resource %q: cpu, memory and ephemeral-storage are", name)
		}
		q, err := resource.ParseQuantity(quantity)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", name, quantity, err)
		}
		list[corev1.ResourceName(name)] = q
	}
	return list, nil
}
