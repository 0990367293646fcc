// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/client/clientset/versioned/fake"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kubefake "k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"
	"knative.dev/pkg/apis"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

// finished is a cluster with one build whose builder failed, of a pod for each step.
type finished struct {
	tekton  *fake.Clientset
	kube    *kubefake.Clientset
	run     *v1.PipelineRun
	archive *tekton.LogArchive
	client  *tekton.Client
}

func newFinished(t *testing.T, o tekton.Logs) *finished {
	t.Helper()
	pr := started(render(t))
	pr.UID = "uid"
	pr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionFalse, Reason: "Failed"})
	f := &finished{tekton: fake.NewSimpleClientset(pr), kube: kubefake.NewSimpleClientset(), run: pr}
	for task, step := range map[string]v1.StepState{
		"fetch-source": ended("fetch", 1, 2, 0, "Completed"), "build-firmware": ended("build", 2, 3, 1, "Error"),
	} {
		tr := taskRun(corev1.ConditionTrue, "Succeeded", step)
		if step.Terminated.ExitCode != 0 {
			tr = taskRun(corev1.ConditionFalse, "Failed", step)
		}
		tr.Name, tr.Namespace = pr.Name+"-"+task, pr.Namespace
		tr.Labels = map[string]string{"tekton.dev/pipelineRun": pr.Name, "tekton.dev/pipelineTask": task}
		tr.OwnerReferences = []metav1.OwnerReference{{Name: pr.Name, UID: pr.UID, Controller: new(true)}}
		if err := f.tekton.Tracker().Add(tr); err != nil {
			t.Fatal(err)
		}
	}
	client := f.tekton.TektonV1()
	f.archive = tekton.NewLogArchive(f.kube.CoreV1().ConfigMaps(pr.Namespace), 800)
	f.client = tekton.NewClient(client.PipelineRuns(pr.Namespace), client.TaskRuns(pr.Namespace), o, tekton.Config{})
	return f
}

// stamped is output in which each line begins with its time.
func stamped(lines ...string) string {
	text := ""
	for i, line := range lines {
		text += fmt.Sprintf("2026-11-25T10:01:%02dZ %s\n", i%60, line)
	}
	return text
}

func (f *finished) read(t *testing.T, step string, o build.LogOptions) string {
	t.Helper()
	r, err := tekton.OpenArchived(t.Context(), f.archive, f.run.Name, step, o)
	if err != nil {
		return err.Error()
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// leftOut is what is left out of the output of a step.
func (f *finished) leftOut(t *testing.T, step string, o build.LogOptions) *build.LeftOut {
	t.Helper()
	r, err := tekton.OpenArchived(t.Context(), f.archive, f.run.Name, step, o)
	if err != nil {
		t.Fatal(err)
	}
	s, ok := r.(build.Shortened)
	if !ok {
		t.Fatal("what is archived does not say what is left out")
	}
	return s.LeftOut()
}

func TestWhatStepsPrintedIsArchived(t *testing.T) {
	t.Parallel()
	f := newFinished(t, outputs{"fetch": stamped("a", "", "c d"), "build": ""})
	run, err := f.client.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second time it is there already
		l, err := f.archive.Save(t.Context(), f.client, run)
		if want := (build.Log{Bytes: int64(len("a\n\nc d\n"))}); err != nil || l != want {
			t.Fatal(l, err)
		}
	}
	for _, tt := range []struct {
		step string
		o    build.LogOptions
		want string
	}{
		{"fetch", build.LogOptions{}, "a\n\nc d\n"},
		{"fetch", build.LogOptions{Tail: 1}, "c d\n"},
		{"fetch", build.LogOptions{Tail: 2, Timestamps: true}, "2026-11-25T10:01:01Z \n2026-11-25T10:01:02Z c d\n"},
		{"build", build.LogOptions{}, ""},
		{"publish", build.LogOptions{}, "step publish of run " + f.run.Name + ": log gone"},
	} {
		if diff := cmp.Diff(tt.want, f.read(t, tt.step, tt.o)); diff != "" {
			t.Error(tt.step, tt.o, diff)
		}
	}
	cm, err := f.kube.CoreV1().ConfigMaps(f.run.Namespace).Get(t.Context(), f.run.Name, metav1.GetOptions{})
	if err != nil || len(cm.OwnerReferences) != 1 || cm.OwnerReferences[0].UID != f.run.UID {
		t.Error(err, cm)
	}
}

// TestALongLogIsArchivedWithItsBeginningAndItsEnd: the error mostly is at the end.
func TestALongLogIsArchivedWithItsBeginningAndItsEnd(t *testing.T) {
	t.Parallel()
	var lines []string
	for n := range 100 {
		lines = append(lines, fmt.Sprintf("line %02d", n))
	}
	whole := stamped(lines...) // of 29 bytes each
	const at = "2026-11-25T10:01:00Z "
	progress := at + strings.Repeat("[12/40] x\r", 300) + "error: y\n"
	f := newFinished(t, outputs{"fetch": whole, "build": progress})
	run, err := f.client.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.archive.Save(t.Context(), f.client, run); err != nil {
		t.Fatal(err)
	}
	if got := f.leftOut(t, "fetch", build.LogOptions{}); !cmp.Equal(got, &build.LeftOut{24, 584}) {
		t.Error(got)
	}
	if got := f.leftOut(t, "fetch", build.LogOptions{Tail: 5}); got != nil {
		t.Error("the place in a tail", got)
	}
	got := f.read(t, "fetch", build.LogOptions{Timestamps: true})
	begin, end := whole[:3*29], whole[len(whole)-24*29:]
	want := begin + "2026-11-25T10:01:02Z [584 bytes are left out here]\n" + end
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = f.read(t, "build", build.LogOptions{Timestamps: true})
	if lines := strings.SplitAfter(got, "\n"); len(got) > 900 || len(lines) != 3 || !strings.HasPrefix(lines[0], at+"[") ||
		!strings.HasPrefix(lines[1], at+"[12/40] x\r") || !strings.HasSuffix(lines[1], "\rerror: y\n") {
		t.Errorf("%q", got)
	}
}

// TestABuildOfAnEarlierVersionIsArchivedOnceMore, for its state, and its message stays.
func TestABuildOfAnEarlierVersionIsArchivedOnceMore(t *testing.T) {
	t.Parallel()
	f := newFinished(t, outputs{"build": "other.c:1:1: error: 'y' undeclared\n"})
	runs := f.tekton.TektonV1().PipelineRuns(f.run.Namespace)
	f.run.Annotations["ajour.drogue.io/message"] = "The builder exited with code 1: main.c:1:1: error: 'x' undeclared"
	if _, err := runs.Update(t.Context(), f.run, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	before, err := f.client.Get(t.Context(), id)
	if err != nil || before.Archived {
		t.Fatal(err, before)
	}
	k := tekton.NewArchiver(tekton.NewStore(), f.client, func(context.Context, build.Run) (build.Log, error) {
		t.Error("its output is archived once more")
		return build.Log{}, build.ErrLogGone
	}, slog.New(slog.DiscardHandler))
	if err := k.Archive(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	after, err := f.client.Get(t.Context(), id)
	before.Archived = true
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// TestAnArchiverSaysWhatItCannotDo: a build that lingers has no last state, and a policy of admission that denies the
// change looks like a run that was replaced.
func TestAnArchiverSaysWhatItCannotDo(t *testing.T) {
	t.Parallel()
	f := newFinished(t, outputs{})
	run, err := f.client.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	k := tekton.NewArchiver(tekton.NewStore(), f.client, nil, slog.New(slog.DiscardHandler))
	f.tekton.PrependReactor("patch", "pipelineruns", func(ktesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewInvalid(schema.GroupKind{Kind: "PipelineRun"}, f.run.Name, nil)
	})
	if err := k.Archive(t.Context(), run); !errors.Is(err, build.ErrChanged) {
		t.Errorf("denied: %v", err)
	}
	tasks := f.tekton.TektonV1().TaskRuns(f.run.Namespace)
	tr, err := tasks.Get(t.Context(), f.run.Name+"-build-firmware", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionUnknown})
	if _, err := tasks.Update(t.Context(), tr, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := k.Archive(t.Context(), run); err == nil || errors.Is(err, build.ErrChanged) {
		t.Errorf("lingering: %v", err)
	}
	run.UID = "of a former run"
	if err := k.Archive(t.Context(), run); err != nil {
		t.Errorf("replaced: %v", err)
	}
}

// TestABuildWhoseTaskRunsAreGoneIsArchivedAsItWasSeen.
func TestABuildWhoseTaskRunsAreGoneIsArchivedAsItWasSeen(t *testing.T) {
	t.Parallel()
	f := newFinished(t, outputs{})
	runs, tasks := f.tekton.TektonV1().PipelineRuns(f.run.Namespace), f.tekton.TektonV1().TaskRuns(f.run.Namespace)
	for _, task := range []string{"fetch-source", "build-firmware"} {
		f.run.Status.ChildReferences = append(
			f.run.Status.ChildReferences, v1.ChildStatusReference{Name: f.run.Name + "-" + task},
		)
	}
	if _, err := runs.Update(t.Context(), f.run, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	seen, err := f.client.Get(t.Context(), id)
	if err != nil || seen.Reason != build.ReasonBuildFailed {
		t.Fatal(err, seen)
	}
	for _, c := range f.run.Status.ChildReferences {
		if err := tasks.Delete(t.Context(), c.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	k := tekton.NewArchiver(tekton.NewStore(), f.client, nil, slog.New(slog.DiscardHandler))
	if err := k.Archive(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
	got, err := f.client.Get(t.Context(), id)
	seen.Archived = true
	if diff := cmp.Diff(seen, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// TestTheArchiverArchivesABuildOnce, its message last, and tries what fails once more.
func TestTheArchiverArchivesABuildOnce(t *testing.T) {
	t.Parallel()
	f := newFinished(t, outputs{"fetch": "a\n", "build": "main.c:1:1: error: 'x' undeclared\n"})
	run, err := f.client.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	state := tekton.NewStore()
	state.Replace([]build.Run{run})
	saved := make(chan string, 10)
	k := tekton.NewArchiver(state, f.client, func(_ context.Context, r build.Run) (build.Log, error) {
		saved <- r.ID
		return build.Log{Bytes: 36}, nil
	}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- k.Run(ctx) }()
	message := func() string {
		pr, err := f.tekton.TektonV1().PipelineRuns(f.run.Namespace).Get(t.Context(), f.run.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return pr.Annotations["ajour.drogue.io/message"]
	}
	for message() == "" {
		select {
		case <-t.Context().Done():
			t.Fatal("nothing is archived")
		case <-time.After(5 * time.Millisecond):
		}
	}
	if got := <-saved; got != id || !strings.Contains(message(), "'x' undeclared") {
		t.Error(got, message())
	}
	stored, err := f.client.Get(t.Context(), id)
	if err != nil || !stored.Archived || stored.Message != message() || !cmp.Equal(stored.Log, &build.Log{Bytes: 36}) {
		t.Errorf("%v %+v", err, stored)
	}
	tasks := f.tekton.TektonV1().TaskRuns(f.run.Namespace)
	for _, task := range []string{"fetch-source", "build-firmware"} {
		if err := tasks.Delete(t.Context(), f.run.Name+"-"+task, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	later, err := f.client.Get(t.Context(), id)
	if diff := cmp.Diff(stored, later); err != nil || diff != "" || len(later.Steps) == 0 {
		t.Error("without its TaskRuns", err, diff)
	}
	state.Set(stored)
	cancel()
	if err := errors.Join(<-done); err != nil || len(saved) > 0 {
		t.Error(err, len(saved))
	}
}
