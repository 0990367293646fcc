// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"fmt"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/rest"
	duckv1 "knative.dev/pkg/apis/duck/v1"
)

// A service that starts reads the runs of the namespace, and each has its parameters, its
// pipeline and the fields that managers own, which nobody looks at. So the reflectors decode
// the types below, which name what is looked at, and hand it on as Tekton's own types.
// BenchmarkDecode has what that saves; the API server still sends the whole of each run. Those whose state
// is recorded are not read in full at the start: see record.

// ignored is a member that is skipped.
type ignored struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (*ignored) UnmarshalJSON([]byte) error { return nil }

// leanMeta is the metadata of an object without the fields that managers own.
type leanMeta struct {
	metav1.ObjectMeta `json:",inline"`

	ManagedFields ignored `json:"managedFields"`
}

// leanRun is what headOf looks at of a PipelineRun.
type leanRun struct {
	metav1.TypeMeta `json:",inline"`
	leanMeta        `json:"metadata"`

	Spec struct {
		Status       v1.PipelineRunSpecStatus `json:"status"`
		PipelineSpec *ignored                 `json:"pipelineSpec"`
		Workspaces   []v1.WorkspaceBinding    `json:"workspaces"`
	} `json:"spec"`
	Status struct {
		Conditions     duckv1.Conditions `json:"conditions"`
		StartTime      *metav1.Time      `json:"startTime"`
		CompletionTime *metav1.Time      `json:"completionTime"`

		ChildReferences []v1.ChildStatusReference `json:"childReferences"`
	} `json:"status"`
}

// DeepCopyObject implements runtime.Object. What is decoded is never changed.
func (r *leanRun) DeepCopyObject() runtime.Object {
	c := *r
	return &c
}

func (r *leanRun) full() *v1.PipelineRun {
	pr := &v1.PipelineRun{TypeMeta: r.TypeMeta, ObjectMeta: r.ObjectMeta}
	pr.Spec.Status, pr.Spec.Workspaces = r.Spec.Status, r.Spec.Workspaces
	if r.Spec.PipelineSpec != nil {
		pr.Spec.PipelineSpec = &v1.PipelineSpec{}
	}
	pr.Status.Conditions = r.Status.Conditions
	pr.Status.StartTime, pr.Status.CompletionTime = r.Status.StartTime, r.Status.CompletionTime
	pr.Status.ChildReferences = r.Status.ChildReferences
	return pr
}

// leanTask is what taskOf looks at of a TaskRun.
type leanTask struct {
	metav1.TypeMeta `json:",inline"`
	leanMeta        `json:"metadata"`

	Spec struct {
		Workspaces []v1.WorkspaceBinding `json:"workspaces"`
	} `json:"spec"`
	Status struct {
		Conditions duckv1.Conditions `json:"conditions"`
		StartTime  *metav1.Time      `json:"startTime"`
		Steps      []v1.StepState    `json:"steps"`
	} `json:"status"`
}

// DeepCopyObject implements runtime.Object. What is decoded is never changed.
func (t *leanTask) DeepCopyObject() runtime.Object {
	c := *t
	return &c
}

func (t *leanTask) full() *v1.TaskRun {
	tr := &v1.TaskRun{TypeMeta: t.TypeMeta, ObjectMeta: t.ObjectMeta}
	tr.Spec.Workspaces = t.Spec.Workspaces
	tr.Status.Conditions, tr.Status.StartTime, tr.Status.Steps = t.Status.Conditions, t.Status.StartTime, t.Status.Steps
	return tr
}

// leanList is a list of lean objects.
type leanList[T any] struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []T `json:"items"`
}

// DeepCopyObject implements runtime.Object. What is decoded is never changed.
func (l *leanList[T]) DeepCopyObject() runtime.Object {
	c := *l
	return &c
}

// leanRESTClient returns a client of Tekton's API that decodes lean objects.
func leanRESTClient(rc *rest.Config) (*rest.RESTClient, runtime.ParameterCodec, error) {
	gv := v1.SchemeGroupVersion
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, gv)
	for kind, obj := range map[string]runtime.Object{
		"PipelineRun": &leanRun{}, "PipelineRunList": &leanList[leanRun]{},
		"TaskRun": &leanTask{}, "TaskRunList": &leanList[leanTask]{},
	} {
		scheme.AddKnownTypeWithName(gv.WithKind(kind), obj)
	}
	rc = rest.CopyConfig(rc)
	rc.GroupVersion, rc.APIPath = &gv, "/apis"
	codecs := serializer.NewCodecFactory(scheme)
	rc.NegotiatedSerializer = rest.CodecFactoryForGeneratedClient(scheme, codecs).WithoutConversion()
	client, err := rest.RESTClientFor(rc)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to Tekton: %w", err)
	}
	return client, runtime.NewParameterCodec(scheme), nil
}

// leanRuns implements [Lister] for PipelineRuns.
type leanRuns struct {
	client *gentype.ClientWithList[*leanRun, *leanList[leanRun]]
}

func (l leanRuns) Get(ctx context.Context, name string, opts metav1.GetOptions) (*v1.PipelineRun, error) {
	o, err := l.client.Get(ctx, name, opts)
	if err != nil {
		return nil, err
	}
	return o.full(), nil
}

func (l leanRuns) List(ctx context.Context, opts metav1.ListOptions) (*v1.PipelineRunList, error) {
	list, err := l.client.List(ctx, opts)
	if err != nil {
		return nil, err
	}
	full := &v1.PipelineRunList{ListMeta: list.ListMeta}
	for i := range list.Items {
		full.Items = append(full.Items, *list.Items[i].full())
	}
	return full, nil
}

func (l leanRuns) Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	w, err := l.client.Watch(ctx, opts)
	return filled(w, (*leanRun).full, err)
}

// leanTasks implements [Lister] for TaskRuns.
type leanTasks struct {
	client *gentype.ClientWithList[*leanTask, *leanList[leanTask]]
}

func (l leanTasks) Get(ctx context.Context, name string, opts metav1.GetOptions) (*v1.TaskRun, error) {
	o, err := l.client.Get(ctx, name, opts)
	if err != nil {
		return nil, err
	}
	return o.full(), nil
}

func (l leanTasks) List(ctx context.Context, opts metav1.ListOptions) (*v1.TaskRunList, error) {
	list, err := l.client.List(ctx, opts)
	if err != nil {
		return nil, err
	}
	full := &v1.TaskRunList{ListMeta: list.ListMeta}
	for i := range list.Items {
		full.Items = append(full.Items, *list.Items[i].full())
	}
	return full, nil
}

func (l leanTasks) Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	w, err := l.client.Watch(ctx, opts)
	return filled(w, (*leanTask).full, err)
}

// filled is a watch whose lean objects are handed on in full.
func filled[L runtime.Object, F runtime.Object](w watch.Interface, full func(L) F, err error) (watch.Interface, error) {
	if err != nil {
		return nil, err
	}
	return watch.Filter(w, func(ev watch.Event) (watch.Event, bool) {
		if o, ok := ev.Object.(L); ok {
			ev.Object = full(o)
		}
		return ev, true
	}), nil
}
