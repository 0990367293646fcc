// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"go.uber.org/zap"
	duckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/eventing/pkg/eventfilter"
	"knative.dev/eventing/pkg/eventfilter/subscriptionsapi"
	"knative.dev/eventing/pkg/kncloudevents"
	"sigs.k8s.io/yaml"
)

// Knative's default broker retries ten times, doubling from 0.2 s.
const (
	defaultRetry   = 10
	defaultBackoff = "PT0.2S"
	// maxBackoff keeps a late retry within what somebody at a desk waits for.
	maxBackoff = 30 * time.Second
)

// LoadTriggers reads and validates every Trigger manifest of a file system.
func LoadTriggers(files fs.FS) ([]*eventingv1.Trigger, error) {
	var triggers []*eventingv1.Trigger
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		t := &eventingv1.Trigger{}
		if err := yaml.UnmarshalStrict(data, t); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		ctx := context.Background()
		t.SetDefaults(ctx)
		if err := t.Validate(ctx); err != nil {
			return fmt.Errorf("validate %s: %w", path, err)
		}
		triggers = append(triggers, t)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load triggers: %w", err)
	}
	return triggers, nil
}

// subscription is a Trigger that is ready to be used.
type subscription struct {
	name   string
	url    string
	filter []filter
	retry  kncloudevents.RetryConfig
}

func newSubscription(t *eventingv1.Trigger, resolve func(service string) string) (*subscription, error) {
	ref := t.Spec.Subscriber.Ref
	if ref == nil || ref.Kind != "Service" {
		return nil, fmt.Errorf("trigger %s: its subscriber is no Service", t.Name)
	}
	spec := duckv1.DeliverySpec{}
	if t.Spec.Delivery != nil {
		spec = *t.Spec.Delivery
	}
	if spec.Retry == nil {
		n, delay, policy := int32(defaultRetry), defaultBackoff, duckv1.BackoffPolicyExponential
		spec.Retry, spec.BackoffDelay, spec.BackoffPolicy = &n, &delay, &policy
	}
	retry, err := kncloudevents.RetryConfigFromDeliverySpec(spec)
	if err != nil {
		return nil, fmt.Errorf("trigger %s: %w", t.Name, err)
	}
	return &subscription{name: t.Name, url: resolve(ref.Name), retry: retry, filter: newFilters(t.Spec.Filters)}, nil
}

// filter reports whether an event passes.
type filter func(context.Context, cloudevents.Event) bool

// newFilters composes Knative's filters. The leaves are Knative's own; its "all"
// and "any" are not used, because they reorder their parts while others read
// them, which is a data race (eventing v0.50.0, any_filter.go).
func newFilters(specs []eventingv1.SubscriptionsAPIFilter) []filter {
	list := make([]filter, len(specs))
	for i, spec := range specs {
		switch {
		case len(spec.All) > 0:
			list[i] = all(newFilters(spec.All))
		case len(spec.Any) > 0:
			parts := newFilters(spec.Any)
			list[i] = func(ctx context.Context, ev cloudevents.Event) bool {
				return slices.ContainsFunc(parts, func(f filter) bool { return f(ctx, ev) })
			}
		case spec.Not != nil:
			part := newFilters([]eventingv1.SubscriptionsAPIFilter{*spec.Not})[0]
			list[i] = func(ctx context.Context, ev cloudevents.Event) bool { return !part(ctx, ev) }
		default:
			leaf := subscriptionsapi.MaterializeSubscriptionsAPIFilter(zap.NewNop(), spec)
			list[i] = func(ctx context.Context, ev cloudevents.Event) bool {
				return leaf.Filter(ctx, ev) != eventfilter.FailFilter
			}
		}
	}
	return list
}

func all(parts []filter) filter {
	return func(ctx context.Context, ev cloudevents.Event) bool {
		return !slices.ContainsFunc(parts, func(f filter) bool { return !f(ctx, ev) })
	}
}

func (s *subscription) wants(ctx context.Context, ev cloudevents.Event) bool {
	return all(s.filter)(ctx, ev)
}

// backoff is the time between an attempt and the next.
func (s *subscription) backoff(attempt int, res *http.Response) time.Duration {
	if s.retry.Backoff == nil {
		return 0
	}
	return min(s.retry.Backoff(attempt, res), maxBackoff)
}
