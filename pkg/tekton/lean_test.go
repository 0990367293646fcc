// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/drogue-iot/ajour/pkg/build"
)

// unexported lets cmp compare what a reflector stores.
var unexported = cmp.AllowUnexported(head{}, condition{}, stage{}, task{}, step{})

func fullRun(tb testing.TB) *v1.PipelineRun {
	tb.Helper()
	d := build.Description{
		Registry: build.OCI,
		Image:    "greenhouse:1.4",
		Builder:  "rust:1",
		Artifact: "fw.bin",
		Timeout:  build.Duration(time.Hour),
		Source:   build.Source{URI: "https://git.example.org/fw.git", Path: "."},
		Args:     []string{strings.Repeat("x", 8<<10)},
	}
	pr, err := Render(build.Spec{
		ID:          "01a2132a-8a52-7aa1-b76f-a5ad19f58507",
		Object:      build.ObjectRef{Application: "greenhouse", Device: "sensor"},
		Description: d,
		Hash:        d.Hash(),
		Cause:       build.CauseAPI,
		Requester:   "alice",
		Requested:   time.Unix(1_700_000_000, 5).UTC(),
	}, Config{Namespace: "builds", Layout: OnePod})
	if err != nil {
		tb.Fatal(err)
	}
	at := metav1.NewTime(time.Unix(1_700_000_100, 0).UTC())
	pr.TypeMeta = metav1.TypeMeta{APIVersion: v1.SchemeGroupVersion.String(), Kind: "PipelineRun"}
	pr.UID, pr.ResourceVersion, pr.Finalizers = "uid", "7", []string{chainsFinalizer}
	pr.ManagedFields = []metav1.ManagedFieldsEntry{{
		Manager: "ajour", FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:spec":{"f:params":{}}}`)},
	}}
	pr.Spec.Workspaces = []v1.WorkspaceBinding{{
		Name: workspaceSource, PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "claim"},
	}}
	pr.Status.StartTime, pr.Status.CompletionTime = &at, &at
	pr.Status.ChildReferences = []v1.ChildStatusReference{{Name: pr.Name + "-firmware", PipelineTaskName: "firmware"}}
	pr.Status.Conditions = duckv1.Conditions{{
		Type: apis.ConditionSucceeded, Status: corev1.ConditionFalse, Reason: "Failed", Message: "it failed",
		LastTransitionTime: apis.VolatileTime{Inner: at},
	}}
	return pr
}

func fullTask() *v1.TaskRun {
	owner := true
	tr := &v1.TaskRun{
		TypeMeta: metav1.TypeMeta{APIVersion: v1.SchemeGroupVersion.String(), Kind: "TaskRun"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "fw-1-firmware", UID: "task-uid", ResourceVersion: "9", Labels: map[string]string{labelPipelineTask: taskPod},
			OwnerReferences: []metav1.OwnerReference{{Kind: "PipelineRun", Name: "fw-1", UID: "uid", Controller: &owner}},
		},
	}
	tr.Spec.Workspaces = []v1.WorkspaceBinding{{
		Name: workspaceSource, PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "claim"},
	}}
	tr.Status.Conditions = duckv1.Conditions{{
		Type: apis.ConditionSucceeded, Status: corev1.ConditionFalse, Reason: "Failed",
		LastTransitionTime: apis.VolatileTime{Inner: metav1.NewTime(time.Unix(1_700_000_100, 0).UTC())},
	}}
	tr.Status.TaskSpec = &v1.TaskSpec{Description: "resolved"}
	tr.Status.Steps = []v1.StepState{
		{
			Name:           "fetch",
			ContainerState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}},
			Results: []v1.TaskRunResult{
				{Name: "commit", Type: v1.ResultsTypeString, Value: *v1.NewStructuredValues("4f1c2ab")},
			},
		},
		{
			Name: "build", TerminationReason: reasonOOM,
			ContainerState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137}},
		},
	}
	return tr
}

// apiServer answers as an API server with one run and one TaskRun does. A watch shows both
// once more, a bookmark, and that it has expired.
func apiServer(t *testing.T) *Cluster {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		var obj any = fullRun(t)
		kind := "PipelineRun"
		if strings.HasSuffix(r.URL.Path, "/taskruns") {
			obj, kind = fullTask(), "TaskRun"
		}
		out := json.NewEncoder(w)
		if r.URL.Query().Get("watch") == "" {
			_ = out.Encode(map[string]any{
				"apiVersion": "tekton.dev/v1", "kind": kind + "List", "items": []any{obj},
				"metadata": map[string]any{"resourceVersion": "11", "continue": "next", "remainingItemCount": 3},
			})
			return
		}
		bookmark := map[string]any{
			"apiVersion": "tekton.dev/v1", "kind": kind, "metadata": map[string]any{"resourceVersion": "12"},
			"spec": map[string]any{}, "status": map[string]any{},
		}
		expired := apierrors.NewResourceExpired("too old").ErrStatus
		expired.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
		for _, ev := range []map[string]any{
			{"type": "MODIFIED", "object": obj}, {"type": "BOOKMARK", "object": bookmark}, {"type": "ERROR", "object": expired},
		} {
			_ = out.Encode(ev)
		}
	}))
	t.Cleanup(s.Close)
	c, err := connect(&rest.Config{Host: s.URL}, "builds")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// watched returns what a watch delivers of objects, and the types of all of its events.
func watched[O metav1.Object](
	t *testing.T,
	watchFunc func(context.Context, metav1.ListOptions) (watch.Interface, error),
) (
	first O, versions []string,
) {
	t.Helper()
	w, err := watchFunc(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for ev := range w.ResultChan() {
		switch o := ev.Object.(type) {
		case O:
			if len(versions) == 0 {
				first = o
			}
			versions = append(versions, string(ev.Type)+" "+o.GetResourceVersion())
		case *metav1.Status:
			versions = append(versions, string(ev.Type)+" "+string(o.Reason))
		default:
			t.Errorf("%T comes with %s", o, ev.Type)
		}
	}
	return first, versions
}

func TestALeanRunSaysWhatTheWholeOneSays(t *testing.T) {
	t.Parallel()
	c := apiServer(t)
	list, err := c.leanRuns.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seen, events := watched[*v1.PipelineRun](t, c.leanRuns.Watch)
	want, _, ours := headOf(fullRun(t))
	if !ours {
		t.Fatal("the run is not ours")
	}
	for _, pr := range []*v1.PipelineRun{&list.Items[0], seen} {
		got, _, _ := headOf(pr)
		if diff := cmp.Diff(want, got, unexported); diff != "" {
			t.Error(diff)
		}
		if pr.ManagedFields != nil || pr.Spec.Params != nil || pr.ResourceVersion != "7" {
			t.Errorf("decoded: %+v", pr)
		}
	}
	three := int64(3)
	meta := metav1.ListMeta{ResourceVersion: "11", Continue: "next", RemainingItemCount: &three}
	if diff := cmp.Diff(meta, list.ListMeta); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"MODIFIED 7", "BOOKMARK 12", "ERROR Expired"}, events); diff != "" {
		t.Error(diff)
	}
}

func TestALeanTaskRunSaysWhatTheWholeOneSays(t *testing.T) {
	t.Parallel()
	c := apiServer(t)
	list, err := c.leanTasks.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seen, events := watched[*v1.TaskRun](t, c.leanTasks.Watch)
	whole := fullTask()
	want, _ := taskOf(whole)
	for _, tr := range []*v1.TaskRun{&list.Items[0], seen} {
		got, _ := taskOf(tr)
		if diff := cmp.Diff(
			want,
			got,
			unexported,
			cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
		); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff([]string{"MODIFIED 9", "BOOKMARK 12", "ERROR Expired"}, events); diff != "" {
		t.Error(diff)
	}
}

// FuzzLean gives the same JSON to the lean types and to Tekton's: where those take it, the lean
// ones do, and say the same.
func FuzzLean(f *testing.F) {
	for _, o := range []any{fullRun(f), fullTask()} {
		text, err := json.Marshal(o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"metadata":{"managedFields":7},"spec":{"pipelineSpec":null,"params":7}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var run leanRun
		var wholeRun v1.PipelineRun
		if utiljson.Unmarshal(text, &wholeRun) == nil {
			if err := utiljson.Unmarshal(text, &run); err != nil {
				t.Fatal(err)
			}
			want, _, wantOurs := headOf(&wholeRun)
			got, _, ours := headOf(run.full())
			if diff := cmp.Diff(want, got, unexported); diff != "" || ours != wantOurs {
				t.Error(ours, diff)
			}
		}
		var task leanTask
		var wholeTask v1.TaskRun
		if utiljson.Unmarshal(text, &wholeTask) == nil {
			if err := utiljson.Unmarshal(text, &task); err != nil {
				t.Fatal(err)
			}
			want, wantOurs := taskOf(&wholeTask)
			got, ours := taskOf(task.full())
			if diff := cmp.Diff(want, got, unexported); diff != "" || ours != wantOurs {
				t.Error(ours, diff)
			}
		}
	})
}

// BenchmarkDecode compares what a reflector decodes with the whole run.
func BenchmarkDecode(b *testing.B) {
	text, err := json.Marshal(fullRun(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("whole", func(b *testing.B) { decodeInto(b, text, func() any { return &v1.PipelineRun{} }) })
	b.Run("lean", func(b *testing.B) { decodeInto(b, text, func() any { return &leanRun{} }) })
}

func decodeInto(b *testing.B, text []byte, empty func() any) {
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if err := json.Unmarshal(text, empty()); err != nil {
			b.Fatal(err)
		}
	}
}
