// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

const (
	// pageSize is how many objects are listed at once.
	pageSize = 200
	// maxSingle is how many objects of a page are read one by one, singleAtATime how many of them at the same
	// time: if there are more, the page is listed with all of each object.
	maxSingle     = 40
	singleAtATime = 8
)

// Lister is the part of Tekton's typed clients that reads objects.
type Lister[O any, L runtime.Object] interface {
	Get(ctx context.Context, name string, opts metav1.GetOptions) (O, error)
	List(ctx context.Context, opts metav1.ListOptions) (L, error)
	Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error)
}

// Briefs lists the metadata of objects, as a client of client-go/metadata does.
type Briefs interface {
	List(ctx context.Context, opts metav1.ListOptions) (*metav1.PartialObjectMetadataList, error)
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
	value any // nil for an object of which nothing is stored
}

// DeepCopyObject implements runtime.Object. The value is never changed.
func (r *reduced) DeepCopyObject() runtime.Object {
	c := *r
	return &c
}

func newReduced(o metav1.Object, value any) *reduced {
	return &reduced{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: o.GetNamespace(), Name: o.GetName(), ResourceVersion: o.GetResourceVersion(),
		},
		value: value,
	}
}

// mirror lists and watches the objects of this project. Each is reduced as it comes off the wire, so that a
// page of whole objects is the most that is in memory.
type mirror[O metav1.Object, L runtime.Object, T any] struct {
	kind   string
	client Lister[O, L]
	items  func(L) []O
	// reduce returns what is stored of an object. It reports false for one that is not ours.
	reduce func(O) (T, bool)
	briefs Briefs
	// brief returns what is stored of an object, nil for nothing. It reports false if the metadata do not say
	// that. It is not called before begin is closed.
	brief func(*metav1.PartialObjectMetadata) (any, bool)
	begin <-chan struct{}
	feed  feed[T]

	mu sync.Mutex
	// ahead are the versions of the objects that were read one by one for the last list, which may be later than
	// that of the list.
	ahead map[string]string
}

// run mirrors until the context ends.
func (m *mirror[O, L, T]) run(ctx context.Context) {
	lw := &cache.ListWatch{ListWithContextFunc: m.list, WatchFuncWithContext: m.watch}
	r := cache.NewReflectorWithOptions(
		cache.ToListWatcherWithWatchListSemantics(lw, listing{}), nil, &mirrored[T]{m.feed},
		cache.ReflectorOptions{Name: "ajour", TypeDescription: m.kind},
	)
	r.WatchListPageSize = pageSize
	r.RunWithContext(ctx)
}

// listing has client-go list objects, although the API server could stream them: it would send all of each.
type listing struct{}

// IsWatchListSemanticsUnSupported is the name that client-go gave it.
func (listing) IsWatchListSemanticsUnSupported() bool { return true }

// list reads a page: the metadata of its objects, and those in full whose metadata do not have their state.
// The version of the list is that of the metadata, so that the watch brings what changes meanwhile.
func (m *mirror[O, L, T]) list(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
	select {
	case <-m.begin:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	opts.LabelSelector = ownRuns
	if opts.Limit > 0 { // a server takes no notice of it where a list may be of any version
		opts.ResourceVersion, opts.ResourceVersionMatch = "", ""
	}
	if opts.Continue == "" {
		m.mu.Lock()
		m.ahead = map[string]string{}
		m.mu.Unlock()
	}
	page, err := m.briefs.List(ctx, opts)
	if apierrors.IsResourceExpired(err) && opts.Continue != "" {
		// Client-go would list everything at once. With an error of no kind it begins anew, page by page.
		return nil, errors.New(err.Error())
	}
	if err != nil {
		return nil, err
	}
	list := &internalversion.List{ListMeta: page.ListMeta}
	var rest []string
	for i := range page.Items {
		if value, ok := m.brief(&page.Items[i]); ok {
			list.Items = append(list.Items, newReduced(&page.Items[i], value))
		} else {
			rest = append(rest, page.Items[i].Name)
		}
	}
	if len(rest) > maxSingle {
		return m.listFull(ctx, opts)
	}
	found := make([]*reduced, len(rest))
	g, getting := errgroup.WithContext(ctx)
	g.SetLimit(singleAtATime)
	for i, name := range rest {
		g.Go(func() error {
			o, err := m.client.Get(getting, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			if err == nil {
				found[i] = m.convert(o)
				m.note(o)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, r := range found {
		if r != nil {
			list.Items = append(list.Items, r)
		}
	}
	return list, nil
}

// listFull reads a page with all of each object.
func (m *mirror[O, L, T]) listFull(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
	page, err := m.client.List(ctx, opts)
	if err != nil {
		return nil, err
	}
	list := &internalversion.List{}
	if a, err := meta.ListAccessor(page); err == nil {
		list.ListMeta = metav1.ListMeta{
			ResourceVersion: a.GetResourceVersion(), Continue: a.GetContinue(), RemainingItemCount: a.GetRemainingItemCount(),
		}
	}
	for _, o := range m.items(page) {
		list.Items = append(list.Items, m.convert(o))
	}
	return list, nil
}

func (m *mirror[O, L, T]) watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	opts.LabelSelector = ownRuns
	w, err := m.client.Watch(ctx, opts)
	if err != nil {
		return nil, err
	}
	return watch.Filter(w, func(ev watch.Event) (watch.Event, bool) {
		o, ok := ev.Object.(O)
		if !ok || ev.Type == watch.Bookmark {
			return ev, true
		}
		ev.Object = m.convert(o)
		return ev, !m.past(o)
	}), nil
}

func (m *mirror[O, L, T]) convert(o O) *reduced {
	if value, ok := m.reduce(o); ok {
		return newReduced(o, value)
	}
	return newReduced(o, nil)
}

// note stores the version that GET returned.
func (m *mirror[O, L, T]) note(o O) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ahead[o.GetName()] = o.GetResourceVersion()
}

// past reports whether an event is older than the object that GET returned.
func (m *mirror[O, L, T]) past(o O) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	version, ok := m.ahead[o.GetName()]
	if !ok {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(o.GetResourceVersion(), version)
	return err == nil && order < 0
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
