// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/client/clientset/versioned/fake"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

// reflected is a store that follows a cluster of doubles, made by the generators of Tekton
// and Kubernetes.
type reflected struct {
	*testing.T
	cluster *fake.Clientset
	store   *tekton.Store

	changed chan struct{}
}

// listed is a client that says when it watches: what is made between a list and its watch, a double does
// not send.
type listed[O any, L runtime.Object] struct {
	tekton.Lister[O, L]

	watches chan<- struct{}
}

func (l listed[O, L]) Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	w, err := l.Lister.Watch(ctx, opts)
	select {
	case l.watches <- struct{}{}:
	default: // nobody waits for it any more
	}
	return w, err
}

// briefs lists the metadata of what a client lists.
type briefs[L runtime.Object] func(ctx context.Context, opts metav1.ListOptions) (L, error)

func (list briefs[L]) List(ctx context.Context, opts metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	full, err := list(ctx, opts)
	if err != nil {
		return nil, err
	}
	items, err := meta.ExtractList(full)
	if err != nil {
		return nil, err
	}
	brief := &metav1.PartialObjectMetadataList{}
	for _, o := range items {
		a, err := meta.Accessor(o)
		if err != nil {
			return nil, err
		}
		brief.Items = append(brief.Items, *meta.AsPartialObjectMetadata(a))
	}
	return brief, nil
}

func reflect(t *testing.T, log *slog.Logger, runs []*v1.PipelineRun, tasks ...*v1.TaskRun) *reflected {
	t.Helper()
	r := &reflected{T: t, cluster: fake.NewSimpleClientset(), store: tekton.NewStore(), changed: make(chan struct{}, 1000)}
	for _, pr := range runs {
		r.create(pr)
	}
	for _, tr := range tasks {
		if _, err := r.cluster.TektonV1().TaskRuns("builds").Create(t.Context(), tr, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	r.store.Watch(func(build.Run, bool) { r.changed <- struct{}{} })
	watches := make(chan struct{}, 2)
	go func() {
		defer close(done)
		runs, tasks := r.cluster.TektonV1().PipelineRuns("builds"), r.cluster.TektonV1().TaskRuns("builds")
		_ = tekton.NewReflector(r.store, tekton.Listers{
			Runs:       listed[*v1.PipelineRun, *v1.PipelineRunList]{runs, watches},
			Tasks:      listed[*v1.TaskRun, *v1.TaskRunList]{tasks, watches},
			RunBriefs:  briefs[*v1.PipelineRunList](runs.List),
			TaskBriefs: briefs[*v1.TaskRunList](tasks.List),
		}, log).Run(ctx)
	}()
	synced := errors.New("synced")
	if err := r.store.WhenSynced(ctx, func(context.Context) error { return synced }); !errors.Is(err, synced) {
		t.Fatal(err)
	}
	for range 2 {
		<-watches
	}
	return r
}

func (r *reflected) create(pr *v1.PipelineRun) {
	r.Helper()
	if _, err := r.cluster.TektonV1().PipelineRuns("builds").Create(r.Context(), pr, metav1.CreateOptions{}); err != nil {
		r.Fatal(err)
	}
}

// await waits until the build is as it should be.
func (r *reflected) await(name string, want func(build.Run, error) bool) {
	r.Helper()
	for {
		got, err := r.store.Find(name)
		if want(got, err) {
			return
		}
		select {
		case <-r.changed:
		case <-time.After(10 * time.Second):
			r.Fatalf("the build is %+v, %v", got, err)
		}
	}
}

func TestAReflectorFollowsTheCluster(t *testing.T) {
	t.Parallel()
	pr := render(t)
	pr.UID = "uid"
	foreign := render(t)
	foreign.Name = "fw-of-somebody-else"
	r := reflect(t, slog.New(slog.DiscardHandler), []*v1.PipelineRun{pr, foreign})
	r.await(pr.Name, func(b build.Run, err error) bool { return err == nil && b.Pending && b.Phase == build.Queued })
	if got := r.store.List(build.Query{}); len(got) != 1 || !cmp.Equal(got[0].Description, build.Description{}) {
		t.Errorf("%+v", got)
	}

	pr.Spec.Status = ""
	pr.Status.SetCondition(
		&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionUnknown, Reason: "Running"},
	)
	runs, tasks := r.cluster.TektonV1().PipelineRuns("builds"), r.cluster.TektonV1().TaskRuns("builds")
	if _, err := runs.Update(t.Context(), pr, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	r.await(pr.Name, func(b build.Run, _ error) bool { return b.Reason == build.ReasonFetchingSource })

	tr := pod(corev1.ConditionUnknown, "Running", "", step("fetch", 0, "commit", "4f1c"), step("build", -1))["firmware"]
	tr.Name, tr.Namespace, tr.UID = pr.Name+"-firmware", "builds", "task"
	tr.Labels = map[string]string{"app.kubernetes.io/managed-by": "ajour", "tekton.dev/pipelineTask": "firmware"}
	tr.OwnerReferences = []metav1.OwnerReference{{Name: pr.Name, UID: pr.UID, Controller: new(true)}}
	other := tr.DeepCopy() // of a former run of that name
	other.Name, other.OwnerReferences[0].UID = "former", "other"
	other.Status.Steps = nil
	for _, o := range []*v1.TaskRun{tr, other} {
		if _, err := tasks.Create(t.Context(), o, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	r.await(pr.Name, func(b build.Run, _ error) bool { return b.Reason == build.ReasonBuilding && b.Commit == "4f1c" })

	pr.Status.SetCondition(
		&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionFalse, Reason: "Cancelled"},
	)
	if _, err := runs.Update(t.Context(), pr, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	r.await(pr.Name, func(b build.Run, _ error) bool { return b.Phase == build.Cancelled })
	if err := tasks.Delete(t.Context(), tr.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := runs.Delete(t.Context(), pr.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	r.await(pr.Name, func(_ build.Run, err error) bool { return err != nil })
}

// TestAnEndWaitsForItsTaskRuns: the watch of the PipelineRuns may be ahead, and an end that was shown
// without its firmware would be reported like that.
func TestAnEndWaitsForItsTaskRuns(t *testing.T) {
	t.Parallel()
	const none, yes, no, unknown = "", corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown
	published := &build.Artifact{SHA256: "abc", Size: 3}
	for name, c := range map[string]struct {
		known  corev1.ConditionStatus // of the TaskRun before the run ends; none for one that is not known
		end    corev1.ConditionStatus
		reason string
		waits  bool
		then   func(tekton.Fed, *v1.TaskRun) // what happens ten seconds later
		want   build.Phase                   // after that
		last   build.Phase                   // a minute later
		left   *build.Artifact
	}{
		"a success": {
			unknown, yes, "Succeeded", true, tekton.Fed.SetTask, build.Succeeded, build.Succeeded, published,
		},
		"a failure": {
			unknown, no, "Failed", true, tekton.Fed.SetTask, build.Failed, build.Failed, published,
		},
		"an unknown TaskRun": {
			none, yes, "Succeeded", true, tekton.Fed.SetTask, build.Succeeded, build.Succeeded, published,
		},
		"a TaskRun that never comes": {
			none, yes, "Succeeded", true, func(tekton.Fed, *v1.TaskRun) {}, build.Running, build.Succeeded, &build.Artifact{},
		},
		"a TaskRun that is deleted while it runs": {
			unknown, yes, "Succeeded", true, tekton.Fed.RemoveTask, build.Running, build.Succeeded, &build.Artifact{},
		},
		"a TaskRun that is not in the next list": {
			unknown, yes, "Succeeded", true, tekton.Fed.ListWithout, build.Running, build.Succeeded, &build.Artifact{},
		},
		"a TaskRun that has ended": {yes, yes, "Succeeded", false, nil, build.Succeeded, build.Succeeded, published},
		"a TaskRun that is deleted after it ended": {
			yes, yes, "Succeeded", false, tekton.Fed.RemoveTask, build.Succeeded, build.Succeeded, published,
		},
		"a TaskRun that is not in a list after it ended": {
			yes, yes, "Succeeded", false, tekton.Fed.ListWithout, build.Succeeded, build.Succeeded, &build.Artifact{},
		},
		"a cancellation": {unknown, no, "Cancelled", false, nil, build.Cancelled, build.Cancelled, nil},
		"a timeout":      {unknown, no, "PipelineRunTimeout", false, nil, build.Failed, build.Failed, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := tekton.NewStore()
				fed := tekton.Fed{Reflector: tekton.NewReflector(store, tekton.Listers{}, slog.New(slog.DiscardHandler))}
				pr := render(t)
				pr.UID, pr.Spec.Status = "uid", ""
				pr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: unknown, Reason: "Running"})
				fed.List(pr)
				tr := func(status corev1.ConditionStatus) *v1.TaskRun {
					tr := pod(status, "Running", "", step("fetch", 0), step("build", -1))["firmware"]
					if status != unknown {
						tr = pod(status, "Succeeded", "", step("publish", 0, "checksum", "abc", "size", "3"))["firmware"]
					}
					tr.Name, tr.UID = pr.Name+"-firmware", "task"
					tr.Labels = map[string]string{"tekton.dev/pipelineTask": "firmware"}
					tr.OwnerReferences = []metav1.OwnerReference{{Name: pr.Name, UID: pr.UID, Controller: new(true)}}
					return tr
				}
				if c.known != none {
					fed.SetTask(tr(c.known))
				}
				phase := func() build.Phase {
					got, err := store.Find(pr.Name)
					if err != nil {
						t.Fatal(err)
					}
					return got.Phase
				}
				pr.Status.ChildReferences = []v1.ChildStatusReference{{Name: pr.Name + "-firmware"}}
				pr.Status.Conditions = duckv1.Conditions{{
					Type: apis.ConditionSucceeded, Status: c.end, Reason: c.reason,
					LastTransitionTime: apis.VolatileTime{Inner: metav1.Now()},
				}}
				fed.SetRun(pr)
				if got := phase(); got.Final() == c.waits {
					t.Errorf("after the end of the run: %s", got)
				}
				time.Sleep(10 * time.Second)
				if c.then != nil {
					c.then(fed, tr(c.end))
				}
				fed.SetRun(pr) // as when something else of it changes
				if got := phase(); got != c.want {
					t.Errorf("then: %s", got)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if got, err := store.Find(pr.Name); err != nil || got.Phase != c.last {
					t.Errorf("at last: %s, %v", got.Phase, err)
				}
				if got, _ := store.Find(pr.Name); c.then != nil && name != "a TaskRun that is deleted after it ended" &&
					!cmp.Equal(got.Artifact, c.left) {
					t.Errorf("at last: %+v", got.Artifact)
				}
			})
		})
	}
}

// TestARunThatEndedLongAgoDoesNotWait for TaskRuns that are gone.
func TestARunThatEndedLongAgoDoesNotWait(t *testing.T) {
	t.Parallel()
	store := tekton.NewStore()
	fed := tekton.Fed{Reflector: tekton.NewReflector(store, tekton.Listers{}, slog.New(slog.DiscardHandler))}
	pr := render(t)
	pr.UID, pr.Spec.Status = "uid", ""
	pr.Status.ChildReferences = []v1.ChildStatusReference{{Name: pr.Name + "-firmware"}}
	pr.Status.Conditions = duckv1.Conditions{{
		Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue, Reason: "Succeeded",
		LastTransitionTime: apis.VolatileTime{Inner: metav1.NewTime(time.Now().Add(-time.Hour))},
	}}
	fed.List(pr)
	if got, err := store.Find(pr.Name); err != nil || got.Phase != build.Succeeded {
		t.Errorf("%s, %v", got.Phase, err)
	}
}

// TestChainsIsReported: it would sign what a builder can forge.
func TestChainsIsReported(t *testing.T) {
	t.Parallel()
	for layout, want := range map[tekton.Layout]int{tekton.OnePod: 1, tekton.PodPerTask: 0} {
		var log strings.Builder
		pr, err := tekton.Render(spec(), tekton.Config{Namespace: "builds", Layout: layout})
		if err != nil {
			t.Fatal(err)
		}
		pr.UID, pr.Finalizers = types.UID("uid"), []string{"chains.tekton.dev"}
		r := reflect(t, slog.New(slog.NewTextHandler(&log, nil)), []*v1.PipelineRun{pr})
		r.await(pr.Name, func(_ build.Run, err error) bool { return err == nil })
		if got := strings.Count(log.String(), "Tekton Chains"); got != want {
			t.Errorf("%s: %q", layout, log.String())
		}
	}
}
