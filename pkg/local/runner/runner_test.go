// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"

	podtemplate "github.com/tektoncd/pipeline/pkg/apis/pipeline/pod"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/local/runner"
)

// A pipeline of two tasks, the second of which reads a result of the first. The
// image "sh" is mapped to the shell of this machine.
const manifests = `
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: two}
spec:
  workspaces: [{name: ws}]
  params: [{name: script, default: "true"}, {name: image, default: "sh:1"}, {name: args, type: array, default: []}]
  results: [{name: word, value: $(tasks.first.results.word)}]
  tasks:
    - name: second
      taskRef: {name: run}
      workspaces: [{name: ws, workspace: ws}]
      params:
        - {name: image, value: $(params.image)}
        - {name: args, value: ["-c", "$(params.script)", "name", "$(tasks.first.results.word)", "$(params.args[*])"]}
    - name: first
      taskRef: {name: speak}
      workspaces: [{name: ws, workspace: ws}]
---
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: speak}
spec:
  workspaces: [{name: ws}]
  results: [{name: word, value: $(steps.speak.results.word)}]
  steps:
    - name: speak
      ref: {name: speak}
      params: [{name: folder, value: $(workspaces.ws.path)}]
---
apiVersion: tekton.dev/v1beta1
kind: StepAction
metadata: {name: speak}
spec:
  params: [{name: folder}, {name: text, default: shared}]
  results: [{name: word}]
  image: sh
  args: ["-c", "echo speaking; printf hello > $(step.results.word.path); echo $(params.text) > $(params.folder)/file"]
---
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: run}
spec:
  workspaces: [{name: ws}]
  params: [{name: args, type: array}, {name: image}]
  steps:
    - name: run
      image: $(params.image)
      args: ["$(params.args[*])"]
      workingDir: $(workspaces.ws.path)
      env: [{name: FROM_TASK, value: "yes"}]
`

func load(t *testing.T) *runner.Catalog {
	t.Helper()
	files := fstest.MapFS{}
	for i, doc := range strings.Split(manifests, "\n---\n") {
		files[fmt.Sprintf("%d.yaml", i)] = &fstest.MapFile{Data: []byte(doc)}
	}
	c, err := runner.LoadCatalog(files)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fixture is a runner whose events are recorded.
type fixture struct {
	*runner.Runner
	t    *testing.T
	stop func()

	mu     sync.Mutex
	events []cloudevents.Event
	state  state
}

// state is what a runner tells of builds.
type state struct {
	mu   sync.Mutex
	runs map[string]build.Run
}

func (s *state) Replace(runs []build.Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs = map[string]build.Run{}
	for _, r := range runs {
		s.runs[r.Name] = r
	}
}

func (s *state) Set(r build.Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[r.Name] = r
}

func (s *state) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, name)
}

func (s *state) get(name string) (build.Run, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.runs[name]
	return r, ok
}

// observe reads of a run what the tests check. The number of its TaskRuns is the progress.
func observe(pr *v1.PipelineRun, tasks []*v1.TaskRun) (build.Run, bool) {
	r := build.Run{
		Name:       pr.Name,
		UID:        string(pr.UID),
		Pending:    pr.IsPending(),
		Cancelling: pr.IsCancelled(),
		Status: build.Status{
			Phase: build.Queued, Progress: float64(len(tasks)),
		},
	}
	switch c := pr.Status.GetCondition(apis.ConditionSucceeded); {
	case c.IsTrue():
		r.Phase = build.Succeeded
		r.Archived, r.Log, r.Publishes, r.Controller = true, &build.Log{Bytes: 7}, "earlier", "pump"
		r.Secret, r.UIDs = true, build.UIDs{Application: "a"}
	case c.IsFalse():
		r.Phase = build.Failed
		r.Retained = &build.Retained{Build: "b"}
	case pr.HasStarted():
		r.Phase = build.Running
	}
	return r, true
}

func start(t *testing.T, dir string, change ...func(*runner.Options)) *fixture {
	t.Helper()
	f := &fixture{t: t}
	o := runner.Options{
		Dir:      dir,
		Catalog:  load(t),
		Observe:  observe,
		State:    &f.state,
		Builders: map[string]string{"sh": "sh"},
		Parallel: 2,
		Log:      slog.New(slog.DiscardHandler),
		Send: func(_ context.Context, ev cloudevents.Event) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.events = append(f.events, ev)
			return nil
		},
	}
	for _, c := range change {
		c(&o)
	}
	r, err := runner.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	f.Runner = r
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(f.stop)
	return f
}

func pipelineRun(name, script string, change ...func(*v1.PipelineRun)) *v1.PipelineRun {
	pr := &v1.PipelineRun{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Namespace:   "builds",
			Labels:      map[string]string{"ours": "yes"},
			Annotations: map[string]string{"note": "x"},
		},
		Spec: v1.PipelineRunSpec{
			PipelineRef: &v1.PipelineRef{Name: "two"},
			Params:      v1.Params{{Name: "script", Value: *v1.NewStructuredValues(script)}},
			Workspaces:  []v1.WorkspaceBinding{{Name: "ws", EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		},
	}
	for _, c := range change {
		c(pr)
	}
	return pr
}

func (f *fixture) create(pr *v1.PipelineRun) {
	f.t.Helper()
	if _, err := f.PipelineRuns().Create(f.t.Context(), pr, metav1.CreateOptions{}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) get(name string) *v1.PipelineRun {
	f.t.Helper()
	pr, err := f.PipelineRuns().Get(f.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	return pr
}

// until waits for a state of a run.
func (f *fixture) until(name string, reached func(*v1.PipelineRun) bool) *v1.PipelineRun {
	f.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		pr := f.get(name)
		if reached(pr) {
			return pr
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("run %s is %+v", name, pr.Status)
		}
	}
}

func (f *fixture) ended(name string) *v1.PipelineRun {
	f.t.Helper()
	return f.until(name, (*v1.PipelineRun).IsDone)
}

func (f *fixture) task(run, task string) *v1.TaskRun {
	f.t.Helper()
	list, err := f.TaskRuns().List(
		f.t.Context(),
		metav1.ListOptions{LabelSelector: "tekton.dev/pipelineRun=" + run + ",tekton.dev/pipelineTask=" + task},
	)
	if err != nil || len(list.Items) != 1 {
		f.t.Fatal(list, err)
	}
	return &list.Items[0]
}

func (f *fixture) log(run, task, step string) string {
	f.t.Helper()
	r, err := f.Log(f.t.Context(), f.task(run, task), step, build.LogOptions{Follow: true})
	if err != nil {
		f.t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(data)
}

// leftOut is what is left out of the output of a step, once that was read.
func (f *fixture) leftOut(run, task, step string, o build.LogOptions) *build.LeftOut {
	f.t.Helper()
	r, err := f.Log(f.t.Context(), f.task(run, task), step, o)
	if err != nil {
		f.t.Fatal(err)
	}
	defer r.Close()
	s, ok := r.(build.Shortened)
	if _, err := io.Copy(io.Discard, r); err != nil || !ok {
		f.t.Fatal(err, ok)
	}
	return s.LeftOut()
}

func reason(pr *v1.PipelineRun) string {
	return pr.Status.GetCondition(apis.ConditionSucceeded).Reason
}

func TestTasksRunInTheirOrderWithResultsAndArguments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := start(t, dir)
	f.create(pipelineRun("run", `cat file; printf '%s|' "$@"; echo "$FROM_TASK $MINE"`, func(pr *v1.PipelineRun) {
		pr.Spec.Params = append(
			pr.Spec.Params,
			v1.Param{Name: "args", Value: v1.ParamValue{Type: v1.ParamTypeArray, ArrayVal: []string{"a b", "$HOME;`id`", ""}}},
		)
		pr.Spec.TaskRunSpecs = []v1.PipelineTaskRunSpec{
			{
				PipelineTaskName: "second",
				PodTemplate:      &podtemplate.PodTemplate{Env: []corev1.EnvVar{{Name: "MINE", Value: "too"}}},
			},
		}
	}))
	pr := f.ended("run")
	if reason(pr) != "Succeeded" || pr.Status.StartTime == nil || pr.Status.CompletionTime == nil {
		t.Fatalf("%+v", pr.Status)
	}
	if diff := cmp.Diff("shared\nhello|a b|$HOME;`id`||yes too\n", f.log("run", "second", "run")); diff != "" {
		t.Error(diff)
	}
	if len(pr.Status.Results) != 1 || pr.Status.Results[0].Value.StringVal != "hello" {
		t.Error(pr.Status.Results)
	}
	f.stop()
	if left, err := filepath.Glob(filepath.Join(dir, "runs", "run", "workspace-*")); err != nil || len(left) > 0 {
		t.Error("the workspace is still there", left, err)
	}
}

// TestEventsAreThoseOfTekton: types, payload, labels, results and step states.
func TestEventsAreThoseOfTekton(t *testing.T) {
	t.Parallel()
	f := start(t, t.TempDir())
	f.create(pipelineRun("run", "exit 3"))
	pr := f.ended("run")
	f.stop()
	got := map[string]int{}
	for _, ev := range f.events {
		got[strings.TrimPrefix(ev.Type(), "dev.tekton.event.")+" "+ev.Subject()]++
		if err := ev.Validate(); err != nil {
			t.Error(err)
		}
		// An object from a typed client has no kind, so this is what Tekton sends.
		if want := "/apis///namespaces/builds//" + ev.Subject(); ev.Source() != want {
			t.Errorf("source %q, want %q", ev.Source(), want)
		}
	}
	// A run that is made while the runner begins is reported by both.
	got["pipelinerun.queued.v1 run"] = min(got["pipelinerun.queued.v1 run"], 1)
	want := map[string]int{
		"pipelinerun.queued.v1 run":       1,
		"pipelinerun.started.v1 run":      1,
		"pipelinerun.running.v1 run":      1,
		"pipelinerun.failed.v1 run":       1,
		"taskrun.started.v1 run-first":    1,
		"taskrun.running.v1 run-first":    1,
		"taskrun.successful.v1 run-first": 1,
		"taskrun.started.v1 run-second":   1,
		"taskrun.running.v1 run-second":   1,
		"taskrun.failed.v1 run-second":    1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, ev := range f.events {
		var data struct{ TaskRun *v1beta1.TaskRun } //nolint:staticcheck // what Tekton sends
		if err := json.Unmarshal(ev.Data(), &data); err != nil {
			t.Fatal(err)
		}
		if ev.Type() != "dev.tekton.event.taskrun.failed.v1" {
			continue
		}
		tr := data.TaskRun
		wantLabels := map[string]string{
			"ours":                      "yes",
			"tekton.dev/pipeline":       "two",
			"tekton.dev/pipelineRun":    "run",
			"tekton.dev/pipelineRunUID": string(pr.UID),
			"tekton.dev/pipelineTask":   "second",
			"tekton.dev/task":           "run",
			"tekton.dev/memberOf":       "tasks",
		}
		labels := map[string]string{}
		for k := range wantLabels {
			labels[k] = tr.Labels[k]
		}
		if diff := cmp.Diff(wantLabels, labels); diff != "" {
			t.Error(diff)
		}
		if s := tr.Status.Steps; len(s) != 1 || s[0].Name != "run" || s[0].ContainerName != "step-run" ||
			s[0].Terminated.ExitCode != 3 ||
			s[0].Terminated.Reason != "Error" {
			t.Errorf("%+v", s)
		}
		if owner := metav1.GetControllerOf(tr); owner == nil || owner.UID != pr.UID || tr.Annotations["note"] != "x" {
			t.Error(owner, tr.Annotations)
		}
	}
}

func TestRunsThatFail(t *testing.T) {
	t.Parallel()
	f := start(t, t.TempDir())
	param := func(name, value string) func(*v1.PipelineRun) {
		return func(pr *v1.PipelineRun) {
			pr.Spec.Params = append(pr.Spec.Params, v1.Param{Name: name, Value: *v1.NewStructuredValues(value)})
		}
	}
	for name, tt := range map[string]struct {
		pr            *v1.PipelineRun
		want, message string
	}{
		"exit":   {pipelineRun("exit", "exit 7"), "Failed", `"step-run" exited with code 7`},
		"signal": {pipelineRun("signal", "kill -9 $$"), "Failed", `"step-run" exited with code 137`},
		"image": {
			pipelineRun("image", "", param("image", "quay.io/x/y:1")),
			"Failed",
			"install podman or docker, or map it to a program of this machine, as in: ajour dev --builder quay.io/x/y=PROGRAM",
		},
		"pipeline": {
			pipelineRun("pipeline", "", func(pr *v1.PipelineRun) { pr.Spec.PipelineRef.Name = "none" }),
			"CouldntGetPipeline",
			`pipeline "none" not found`,
		},
		"timeout": {pipelineRun("timeout", "sleep 60", func(pr *v1.PipelineRun) {
			pr.Spec.Timeouts = &v1.TimeoutFields{Pipeline: &metav1.Duration{Duration: 200 * time.Millisecond}}
		}), "PipelineRunTimeout", `failed to finish within "200ms"`},
		"stubborn": {pipelineRun("stubborn", "trap '' TERM; sleep 60; sleep 60", func(pr *v1.PipelineRun) {
			pr.Spec.Timeouts = &v1.TimeoutFields{Pipeline: &metav1.Duration{Duration: 200 * time.Millisecond}}
		}), "PipelineRunTimeout", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fixture{Runner: f.Runner, t: t}
			f.create(tt.pr)
			c := f.ended(name).Status.GetCondition(apis.ConditionSucceeded)
			if c.Reason != tt.want || !strings.Contains(c.Message, tt.message) {
				t.Errorf("%s: %s", c.Reason, c.Message)
			}
		})
	}
}

func TestAProcessThatIsLeftInTheBackgroundEndsWithItsStep(t *testing.T) {
	t.Parallel()
	f := start(t, t.TempDir())
	f.create(pipelineRun("run", "sleep 4711 & echo $! ; exit 0"))
	if pr := f.ended("run"); reason(pr) != "Succeeded" {
		t.Fatal(reason(pr))
	}
	pid := strings.TrimSpace(f.log("run", "second", "run"))
	if line, err := os.ReadFile("/proc/" + pid + "/cmdline"); err == nil && bytes.Contains(line, []byte("4711")) {
		t.Error("it still runs")
	}
}

func cancel(f *fixture, name string, more string) error {
	return patch(
		f, name,
		`[`+more+`{"op":"add","path":"/metadata/annotations/why","value":"x"},`+
			`{"op":"add","path":"/spec/status","value":"Cancelled"}]`,
	)
}

func patch(f *fixture, name, operations string) error {
	_, err := f.PipelineRuns().Patch(f.t.Context(), name, types.JSONPatchType, []byte(operations), metav1.PatchOptions{})
	return err
}

func TestCancel(t *testing.T) {
	t.Parallel()
	f := start(t, t.TempDir(), func(o *runner.Options) { o.Parallel = 1 })
	f.create(pipelineRun("running", "sleep 60"))
	f.until("running", func(pr *v1.PipelineRun) bool { return len(pr.Status.ChildReferences) == 2 })
	f.create(pipelineRun("waiting", "true"))
	if err := cancel(f, "running", `{"op":"test","path":"/metadata/uid","value":"other"},`); !apierrors.IsInvalid(err) {
		t.Errorf("another uid: %v", err)
	}
	for _, name := range []string{"waiting", "running"} {
		if err := cancel(f, name, ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"waiting", "running"} {
		if pr := f.ended(name); reason(pr) != "Cancelled" || pr.Annotations["why"] != "x" || pr.Annotations["note"] != "x" {
			t.Errorf("%s: %s %v", name, reason(pr), pr.Annotations)
		}
	}
	if tr := f.task("running", "second"); tr.Status.GetCondition(apis.ConditionSucceeded).Reason != "TaskRunCancelled" {
		t.Error(tr.Status.Conditions)
	}
}

// TestAPendingRunWaitsUntilItIsStarted, also by a later process, and can be cancelled without
// a turn of its own.
func TestAPendingRunWaitsUntilItIsStarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pending := func(pr *v1.PipelineRun) { pr.Spec.Status = v1.PipelineRunSpecStatusPending }
	f := start(t, dir, func(o *runner.Options) { o.Parallel = 1 })
	for _, name := range []string{"first", "second"} {
		f.create(pipelineRun(name, "true", pending))
	}
	f.stop()
	f = start(t, dir, func(o *runner.Options) { o.Parallel = 1 })
	f.create(pipelineRun("other", "sleep 60"))
	f.until("other", (*v1.PipelineRun).HasStarted)
	if pr := f.get("first"); pr.HasStarted() {
		t.Errorf("%+v", pr.Status)
	}
	if err := cancel(f, "second", ""); err != nil {
		t.Fatal(err)
	}
	if pr := f.ended("second"); reason(pr) != "Cancelled" {
		t.Error(reason(pr))
	}
	const begin = `[{"op":"test","path":"/spec/status","value":"PipelineRunPending"},{"op":"remove","path":"/spec/status"}]`
	if err := patch(f, "first", begin); err != nil {
		t.Fatal(err)
	}
	if err := patch(f, "first", begin); !apierrors.IsInvalid(err) {
		t.Errorf("it is started twice: %v", err)
	}
	if err := cancel(f, "other", ""); err != nil {
		t.Fatal(err)
	}
	if pr := f.ended("first"); reason(pr) != "Succeeded" {
		t.Error(reason(pr))
	}
	if err := cancel(f, "first", ""); !apierrors.IsBadRequest(err) {
		t.Errorf("a run that has ended is cancelled: %v", err)
	}
}

// TestTheStateIsThatOfTheRuns at any time, and after a restart.
func TestTheStateIsThatOfTheRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := start(t, dir)
	f.create(pipelineRun("good", "true"))
	f.create(pipelineRun("bad", "exit 1"))
	for _, name := range []string{"good", "bad"} {
		f.ended(name)
	}
	check := func() {
		t.Helper()
		for name, want := range map[string]build.Phase{"good": build.Succeeded, "bad": build.Failed} {
			f.until(name, func(pr *v1.PipelineRun) bool { // the state follows the store
				r, ok := f.state.get(name)
				return ok && r.Phase == want && r.Progress == 2 && r.UID == string(pr.UID)
			})
		}
	}
	check()
	good, _ := f.state.get("good")
	bad, _ := f.state.get("bad")
	f.stop()
	f = start(t, dir)
	check()
	for name, before := range map[string]build.Run{"good": good, "bad": bad} {
		after, _ := f.state.get(name)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Error("a restart changes it:", diff)
		}
	}
	if err := f.PipelineRuns().Delete(t.Context(), "bad", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.state.get("bad"); ok {
		t.Error("the state has a run that is deleted")
	}
}

// TestAPipelineCanBeEmbedded, with StepActions.
func TestAPipelineCanBeEmbedded(t *testing.T) {
	t.Parallel()
	f := start(t, t.TempDir())
	f.create(pipelineRun("run", "", func(pr *v1.PipelineRun) {
		pr.Spec.PipelineRef, pr.Spec.Workspaces = nil, nil
		pr.Spec.Params = v1.Params{{Name: "said", Value: *v1.NewStructuredValues("a b; $HOME")}}
		pr.Spec.PipelineSpec = &v1.PipelineSpec{
			Params: v1.ParamSpecs{{Name: "said", Type: v1.ParamTypeString}},
			Tasks: []v1.PipelineTask{{
				Name: "only", Params: v1.Params{{Name: "said", Value: *v1.NewStructuredValues("$(params.said)")}},
				TaskSpec: &v1.EmbeddedTask{TaskSpec: v1.TaskSpec{
					Params: v1.ParamSpecs{{Name: "said", Type: v1.ParamTypeString}},
					Steps: []v1.Step{
						{Name: "speak", Ref: &v1.Ref{Name: "speak"}, Params: v1.Params{
							{
								Name:  "folder",
								Value: *v1.NewStructuredValues("/tmp"),
							},
							{Name: "text", Value: *v1.NewStructuredValues("shared")},
						}},
						{Name: "run", Image: "sh", Args: []string{"-c", `echo "$1"`, "name", "$(params.said)"}},
					},
				}},
			}},
		}
	}))
	if pr := f.ended("run"); reason(pr) != "Succeeded" {
		t.Fatalf("%+v", pr.Status.Conditions)
	}
	if got := f.log("run", "only", "run"); got != "a b; $HOME\n" {
		t.Errorf("%q", got)
	}
}

func TestTheClientAnswersAsTheAPIServerDoes(t *testing.T) {
	t.Parallel()
	f := start(t, t.TempDir())
	f.create(pipelineRun("run", "true"))
	ctx := t.Context()
	_, err := f.PipelineRuns().Create(ctx, pipelineRun("run", "true"), metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		t.Errorf("the same name: %v", err)
	}
	_, err = f.PipelineRuns().Create(
		ctx, pipelineRun("bad", "true", func(pr *v1.PipelineRun) { pr.Spec.PipelineRef = nil }),
		metav1.CreateOptions{},
	)
	if !apierrors.IsBadRequest(err) {
		t.Errorf("an invalid run: %v", err)
	}
	if _, err = f.PipelineRuns().Get(ctx, "none", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a missing run: %v", err)
	}
	if err := cancel(f, "none", ""); !apierrors.IsNotFound(err) {
		t.Errorf("a missing run: %v", err)
	}
	for selector, want := range map[string]int{"ours=yes": 1, "ours=no": 0, "": 1, "ours": 1, "!ours": 0} {
		list, err := f.PipelineRuns().List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil || len(list.Items) != want {
			t.Errorf("%q: %d, %v", selector, len(list.Items), err)
		}
	}
}

func TestDeletingARunLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := start(t, dir)
	f.create(pipelineRun("ended", "echo text"))
	f.ended("ended")
	f.create(pipelineRun("running", "sleep 60"))
	f.stop() // with all that it does after the end of a run
	f = start(t, dir)
	remove := func(name string) error { return f.PipelineRuns().Delete(t.Context(), name, metav1.DeleteOptions{}) }
	if err := remove("running"); !apierrors.IsConflict(err) {
		t.Errorf("a run that goes on: %v", err)
	}
	if err := remove("ended"); err != nil {
		t.Fatal(err)
	}
	if err := remove("ended"); !apierrors.IsNotFound(err) {
		t.Errorf("once more: %v", err)
	}
	tasks, err := f.TaskRuns().List(t.Context(), metav1.ListOptions{LabelSelector: "tekton.dev/pipelineRun=ended"})
	if err != nil || len(tasks.Items) != 0 {
		t.Error(tasks, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", "ended*"))
	if err != nil || len(left) != 0 {
		t.Error(left, err)
	}
}

// TestARunIsResumed: what was interrupted starts over with an empty workspace.
func TestARunIsResumed(t *testing.T) {
	t.Parallel()
	dir, marks := t.TempDir(), filepath.Join(t.TempDir(), "marks")
	f := start(t, dir)
	f.create(pipelineRun("ended", "true"))
	f.ended("ended")
	script := "[ -e left ] && echo dirty >> " + marks + "; touch left; echo attempt >> " + marks + "; [ $(grep -c attempt " + marks + ") -gt 1 ] || sleep 60"
	f.create(pipelineRun("interrupted", script))
	f.until("interrupted", func(*v1.PipelineRun) bool { data, _ := os.ReadFile(marks); return len(data) > 0 })
	f.stop()
	reopened := start(t, dir)
	if pr := reopened.ended("interrupted"); reason(pr) != "Succeeded" {
		t.Errorf("%+v", pr.Status)
	}
	reopened.stop()
	if data, err := os.ReadFile(marks); err != nil || string(data) != "attempt\nattempt\n" {
		t.Errorf("%q %v", data, err)
	}
}

// TestStoppingAtAnyPointFailsNoRun: what was not finished is left for later.
func TestStoppingAtAnyPointFailsNoRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 20 {
		f := start(t, dir)
		f.create(pipelineRun(fmt.Sprintf("run-%d", i), "true"))
		timer := time.NewTimer(time.Duration(i) * time.Millisecond)
		<-timer.C
		f.stop()
	}
	f := start(t, dir)
	for i := range 20 {
		if pr := f.ended(fmt.Sprintf("run-%d", i)); reason(pr) != "Succeeded" {
			t.Errorf("%s: %+v", pr.Name, pr.Status.Conditions)
		}
	}
}

// TestALongLogHasItsBeginningAndItsEnd: the error mostly is at the end.
func TestALongLogHasItsBeginningAndItsEnd(t *testing.T) {
	t.Parallel()
	f := start(t, t.TempDir())
	f.create(pipelineRun("run", "echo begin; yes | head -c 20000000; echo end"))
	if pr := f.ended("run"); reason(pr) != "Succeeded" {
		t.Fatal(reason(pr))
	}
	for _, o := range []build.LogOptions{{}, {Timestamps: true}, {Tail: 1}} {
		want := &build.LeftOut{8 << 20, 3222794}
		if o.Tail > 0 { // where it was in the whole is not known
			want = nil
		}
		if got := f.leftOut("run", "second", "run", o); !cmp.Equal(got, want) {
			t.Error(o, got)
		}
	}
	log := f.log("run", "second", "run")
	const left = "\n[3222794 bytes are left out here]\n" // of the 20000010
	if len(log) != 16<<20+len(left) || !strings.HasPrefix(log, "begin\n") || !strings.HasSuffix(log, "y\nend\n") ||
		!strings.Contains(log, left) {
		t.Errorf("%d bytes, ending in %q", len(log), log[len(log)-40:])
	}
}
