// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/client/clientset/versioned/fake"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"knative.dev/pkg/apis"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

const stateAnnotation = "ajour.drogue.io/state"

// numbered is a build of its own, with its TaskRun.
func numbered(t *testing.T, n int, status corev1.ConditionStatus, reason string) (*v1.PipelineRun, *v1.TaskRun) {
	t.Helper()
	s := spec()
	s.ID = "0190f2a4-6c3b-7a57-8f0e-" + strconv.Itoa(242_000_000_000+n)
	pr, err := tekton.Render(s, tekton.Config{
		Namespace: "builds", RegistryPrefix: "quay.io/acme/",
		Sources: tekton.Sources{Schemes: "https", Hosts: "h", Addresses: "public"},
	})
	if err != nil {
		t.Fatal(err)
	}
	pr.UID, pr.Spec.Status = types.UID("uid-"+strconv.Itoa(n)), ""
	pr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: status, Reason: reason})
	tr := pod(status, reason, "", step("fetch", 0, "commit", "4f1c"+strconv.Itoa(n), "version", "4f1c"), step("build", 0),
		step("publish", 0, "checksum", "abc", "image-url", "r/a:1", "image-digest", "sha256:1"))["firmware"]
	tr.Name, tr.Namespace, tr.UID = pr.Name+"-firmware", "builds", types.UID("task-"+strconv.Itoa(n))
	pr.Status.ChildReferences = []v1.ChildStatusReference{{Name: tr.Name}}
	tr.Labels = map[string]string{"app.kubernetes.io/managed-by": "ajour", "tekton.dev/pipelineTask": "firmware"}
	tr.OwnerReferences = []metav1.OwnerReference{{Name: pr.Name, UID: pr.UID, Controller: new(true)}}
	return pr, tr
}

// record puts the state of a run on it, and returns that.
func record(t *testing.T, pr *v1.PipelineRun, tr *v1.TaskRun) build.Run {
	t.Helper()
	r, ours := tekton.Observe(pr, []*v1.TaskRun{tr})
	if !ours || !r.Phase.Final() {
		t.Fatalf("%+v", r)
	}
	text, err := tekton.RecordFor(r, pr)
	if err != nil {
		t.Fatal(err)
	}
	pr.Annotations[stateAnnotation] = text
	r.Archived, r.Description = true, build.Description{}
	return r
}

// readings are the calls by which a reflector reads single objects, or all of each.
func readings(c *fake.Clientset) (names []string) {
	for _, a := range c.Actions() {
		if g, ok := a.(interface{ GetName() string }); ok && a.GetVerb() == "get" {
			names = append(names, g.GetName())
		}
	}
	slices.Sort(names)
	return names
}

// TestABuildThatHasEndedIsReadByItsMetadata: neither the run nor its TaskRuns are read, unless its state is not
// recorded. Its state stays when its TaskRuns go.
func TestABuildThatHasEndedIsReadByItsMetadata(t *testing.T) {
	t.Parallel()
	past, pastTask := numbered(t, 1, corev1.ConditionTrue, "Succeeded")
	want := record(t, past, pastTask)
	now, nowTask := numbered(t, 2, corev1.ConditionUnknown, "Running")
	fresh, freshTask := numbered(t, 3, corev1.ConditionTrue, "Succeeded")
	r := reflect(t, slog.New(slog.DiscardHandler), []*v1.PipelineRun{past, now, fresh}, pastTask, nowTask, freshTask)
	if diff := cmp.Diff(
		[]string{now.Name, nowTask.Name, fresh.Name, freshTask.Name}, readings(r.cluster), sorted,
	); diff != "" {
		t.Error(diff)
	}
	got, err := r.store.Find(past.Name)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for _, name := range []string{now.Name, fresh.Name} {
		if got, err := r.store.Find(name); err != nil || got.Commit == "" {
			t.Error(err, got)
		}
	}
	// It changes, with nothing that is known of its TaskRuns.
	past.Labels["somebody"] = "else"
	fresh.Annotations["ajour.drogue.io/requester"] = "somebody"
	for _, pr := range []*v1.PipelineRun{past, fresh} {
		if _, err := r.cluster.TektonV1().PipelineRuns("builds").Update(t.Context(), pr, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	r.await(fresh.Name, func(b build.Run, _ error) bool { return b.Requester == "somebody" })
	got, err = r.store.Find(past.Name)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

var sorted = cmp.Transformer("sorted", func(list []string) []string { return slices.Sorted(slices.Values(list)) })

// TestManyBuildsWithoutARecordAreListed in full, and not one by one.
func TestManyBuildsWithoutARecordAreListed(t *testing.T) {
	t.Parallel()
	var runs []*v1.PipelineRun
	var tasks []*v1.TaskRun
	for n := range 60 {
		pr, tr := numbered(t, n, corev1.ConditionTrue, "Succeeded")
		runs, tasks = append(runs, pr), append(tasks, tr)
	}
	r := reflect(t, slog.New(slog.DiscardHandler), runs, tasks...)
	if got := readings(r.cluster); len(got) > 0 {
		t.Errorf("%d single readings", len(got))
	}
	list := r.store.List(build.Query{})
	for _, b := range list {
		if b.Phase != build.Succeeded || b.Commit == "" {
			t.Errorf("%+v", b)
		}
	}
	if len(list) != len(runs) {
		t.Errorf("%d builds", len(list))
	}
}

// changed returns the record of a run with a member changed.
func changed(t *testing.T, pr *v1.PipelineRun, member string, value any) {
	t.Helper()
	var r map[string]any
	if err := json.Unmarshal([]byte(pr.Annotations[stateAnnotation]), &r); err != nil {
		t.Fatal(err)
	}
	r[member] = value
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	pr.Annotations[stateAnnotation] = string(text)
}

// TestAForeignRecordIsIgnored, be it in the whole run or in its metadata.
func TestAForeignRecordIsIgnored(t *testing.T) {
	t.Parallel()
	other, otherTask := numbered(t, 2, corev1.ConditionTrue, "Succeeded")
	record(t, other, otherTask)
	for name, change := range map[string]func(pr *v1.PipelineRun){
		"of a different run": func(pr *v1.PipelineRun) {
			pr.Annotations[stateAnnotation] = other.Annotations[stateAnnotation]
		},
		"of a former run":           func(pr *v1.PipelineRun) { pr.UID = "new" },
		"no JSON":                   func(pr *v1.PipelineRun) { pr.Annotations[stateAnnotation] = "x" },
		"no end":                    func(pr *v1.PipelineRun) { changed(t, pr, "phase", "Running") },
		"of a later version":        func(pr *v1.PipelineRun) { changed(t, pr, "version", 2) },
		"of a run that is not ours": func(pr *v1.PipelineRun) { pr.Labels["app.kubernetes.io/managed-by"] = "x" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pr, tr := numbered(t, 1, corev1.ConditionTrue, "Succeeded")
			record(t, pr, tr)
			if !tekton.RecordCounts(pr) {
				t.Fatal("its own record is ignored")
			}
			change(pr)
			if tekton.RecordCounts(pr) {
				t.Error("it counts")
			}
			if got, ours := tekton.Observe(pr, nil); ours && got.Commit != "" {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestARecordSaysNothingThatTektonSays: what the TaskRuns say goes before it, and no claim is mounted for its sake.
func TestARecordSaysNothingThatTektonSays(t *testing.T) {
	t.Parallel()
	pr, tr := numbered(t, 1, corev1.ConditionTrue, "Succeeded")
	want := record(t, pr, tr)
	changed(t, pr, "commit", "0bad")
	changed(t, pr, "retained", map[string]any{"build": id, "claim": "of-somebody-else"})
	got, _ := tekton.Observe(pr, []*v1.TaskRun{tr})
	want.Description = got.Description
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, _ := tekton.Observe(pr, nil); got.Retained != nil {
		t.Errorf("%+v", got.Retained)
	}
	pr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionUnknown})
	if got, _ := tekton.Observe(pr, nil); got.Phase.Final() {
		t.Errorf("%+v", got)
	}
}

// versioned is a client whose objects have versions: what it gets is later than what it lists.
type versioned struct {
	tekton.Lister[*v1.PipelineRun, *v1.PipelineRunList]

	got    *v1.PipelineRun
	events *watch.FakeWatcher
}

func (v versioned) Get(context.Context, string, metav1.GetOptions) (*v1.PipelineRun, error) {
	return v.got, nil
}

func (v versioned) Watch(context.Context, metav1.ListOptions) (watch.Interface, error) {
	return v.events, nil
}

// TestAnEventThatIsOlderThanAGetIsDropped: a run that was read by itself may be later than its list, where the watch
// begins. A build that has ended would run once more.
func TestAnEventThatIsOlderThanAGetIsDropped(t *testing.T) {
	t.Parallel()
	ended, _ := numbered(t, 1, corev1.ConditionFalse, "CreateRunFailed")
	ended.ResourceVersion = "10"
	before, _ := numbered(t, 1, corev1.ConditionUnknown, "Running")
	before.ResourceVersion = "9"
	after := ended.DeepCopy()
	after.ResourceVersion, after.Annotations["ajour.drogue.io/requester"] = "11", "later"
	none := fake.NewSimpleClientset().TektonV1().TaskRuns("builds")
	events := watch.NewFake()
	store := tekton.NewStore()
	seen := make(chan build.Run, 10)
	store.Watch(func(r build.Run, _ bool) { seen <- r })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- tekton.NewReflector(store, tekton.Listers{
			Runs:  versioned{got: ended, events: events},
			Tasks: none,
			RunBriefs: briefs[*v1.PipelineRunList](func(context.Context, metav1.ListOptions) (*v1.PipelineRunList, error) {
				return &v1.PipelineRunList{Items: []v1.PipelineRun{*before}}, nil
			}),
			TaskBriefs: briefs[*v1.TaskRunList](none.List),
		}, slog.New(slog.DiscardHandler)).Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	for _, pr := range []*v1.PipelineRun{before, after} {
		events.Modify(pr)
	}
	for {
		select {
		case r := <-seen:
			if !r.Phase.Final() {
				t.Fatalf("it runs once more: %+v", r)
			}
			if r.Requester == "later" {
				return
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the later event is missing")
		}
	}
}
