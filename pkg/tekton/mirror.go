// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// pageSize is how many objects are listed at once, where an API server does not stream them.
const pageSize = 200

// Lister is the part of Tekton's typed clients that reads many objects.
type Lister[L runtime.Object] interface {
	List(ctx context.Context, opts metav1.ListOptions) (L, error)
	Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error)
}

// feed takes what a watch delivers. The calls follow each other.
type feed[T any] struct {
	set     func(T)
	remove  func(name string)
	replace func([]T)
}

// reduced is an object as a reflector handles it: what is stored of it, under its name.
type reduced struct {
	metav1.TypeMeta
	metav1.ObjectMeta
	value any // nil for an object that is not ours
}

// DeepCopyObject implements runtime.Object. The value is never changed.
func (r *reduced) DeepCopyObject() runtime.Object {
	c := *r
	return &c
}

// mirror lists and watches the objects of this project until the context ends. Each is
// reduced as it comes off the wire, so that a page of whole objects is the most that is in
// memory.
func mirror[L runtime.Object, O metav1.Object, T any](
	ctx context.Context, kind string, client Lister[L], items func(L) []O, reduce func(O) (T, bool), f feed[T],
) {
	convert := func(o O) *reduced {
		r := &reduced{
			ObjectMeta: metav1.ObjectMeta{
				Namespace:       o.GetNamespace(),
				Name:            o.GetName(),
				ResourceVersion: o.GetResourceVersion(),
			},
		}
		if value, ok := reduce(o); ok {
			r.value = value
		}
		return r
	}
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
			opts.LabelSelector = ownRuns
			page, err := client.List(ctx, opts)
			if err != nil {
				return nil, err
			}
			list := &internalversion.List{}
			if m, err := meta.ListAccessor(page); err == nil {
				list.ListMeta = metav1.ListMeta{
					ResourceVersion:    m.GetResourceVersion(),
					Continue:           m.GetContinue(),
					RemainingItemCount: m.GetRemainingItemCount(),
				}
			}
			for _, o := range items(page) {
				list.Items = append(list.Items, convert(o))
			}
			return list, nil
		},
		WatchFuncWithContext: func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
			opts.LabelSelector = ownRuns
			w, err := client.Watch(ctx, opts)
			if err != nil {
				return nil, err
			}
			return watch.Filter(w, func(ev watch.Event) (watch.Event, bool) {
				if o, ok := ev.Object.(O); ok && ev.Type != watch.Bookmark {
					ev.Object = convert(o)
				}
				return ev, true
			}), nil
		},
	}
	r := cache.NewReflectorWithOptions(
		cache.ToListWatcherWithWatchListSemantics(lw, client), nil, &mirrored[T]{f},
		cache.ReflectorOptions{Name: "ajour", TypeDescription: kind},
	)
	r.WatchListPageSize = pageSize
	r.RunWithContext(ctx)
}

// mirrored is the store of a reflector. It implements [cache.ReflectorStore].
type mirrored[T any] struct{ feed feed[T] }

// Add implements cache.ReflectorStore.
func (m *mirrored[T]) Add(o any) error { return m.Update(o) }

// Update implements cache.ReflectorStore.
func (m *mirrored[T]) Update(o any) error {
	if r, ok := o.(*reduced); ok && r.value != nil {
		m.feed.set(r.value.(T)) //nolint:forcetypeassert // put there by mirror
	}
	return nil
}

// Delete implements cache.ReflectorStore.
func (m *mirrored[T]) Delete(o any) error {
	if r, ok := o.(*reduced); ok {
		m.feed.remove(r.Name)
	}
	return nil
}

// Replace implements cache.ReflectorStore.
func (m *mirrored[T]) Replace(list []any, _ string) error {
	values := make([]T, 0, len(list))
	for _, o := range list {
		if r, ok := o.(*reduced); ok && r.value != nil {
			values = append(values, r.value.(T)) //nolint:forcetypeassert // put there by mirror
		}
	}
	m.feed.replace(values)
	return nil
}

// Resync implements cache.ReflectorStore. There is nothing to resync.
func (*mirrored[T]) Resync() error { return nil }
