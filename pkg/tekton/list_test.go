// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

// many are builds that an API server gives away in pages.
type many struct {
	tekton.PipelineRuns
	runs  []v1.PipelineRun
	tasks []v1.TaskRun
	most  int64
}

// page returns the part of n objects that is asked for, and where the next one begins.
func (m *many) page(opts metav1.ListOptions, n int) (from, to int, next string) {
	m.most = max(m.most, opts.Limit)
	from, _ = strconv.Atoi(opts.Continue)
	if to = min(n, from+int(opts.Limit)); to < n {
		next = strconv.Itoa(to)
	}
	return from, to, next
}

func (m *many) List(_ context.Context, opts metav1.ListOptions) (*v1.PipelineRunList, error) {
	from, to, next := m.page(opts, len(m.runs))
	return &v1.PipelineRunList{ListMeta: metav1.ListMeta{Continue: next}, Items: m.runs[from:to]}, nil
}

type manyTasks struct{ *many }

func (m manyTasks) List(_ context.Context, opts metav1.ListOptions) (*v1.TaskRunList, error) {
	from, to, next := m.page(opts, len(m.tasks))
	return &v1.TaskRunList{ListMeta: metav1.ListMeta{Continue: next}, Items: m.tasks[from:to]}, nil
}

func TestManyBuildsAreListedInPages(t *testing.T) {
	t.Parallel()
	const n = 1001
	m := &many{}
	for i := range n {
		pr := render(t)
		pr.UID = types.UID(fmt.Sprint("run-", i))
		pr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionUnknown, Reason: "Running"})
		tr := pod(corev1.ConditionUnknown, "Running", "", step("fetch", 0, "commit", fmt.Sprint(i)), step("build", -1))["firmware"]
		yes := true
		tr.Labels = map[string]string{"tekton.dev/pipelineTask": "firmware"}
		tr.OwnerReferences = []metav1.OwnerReference{{UID: pr.UID, Controller: &yes}}
		m.runs, m.tasks = append(m.runs, *pr), append(m.tasks, *tr)
	}
	got, err := tekton.NewClient(m, manyTasks{m}, nil, tekton.Config{Namespace: "builds"}).List(t.Context(), build.Target{})
	if err != nil || len(got) != n || m.most == 0 || m.most >= n {
		t.Fatal(len(got), m.most, err)
	}
	for i, r := range got {
		if r.Commit != fmt.Sprint(i) || r.Reason != build.ReasonBuilding {
			t.Fatalf("build %d: %+v", i, r)
		}
	}
}
