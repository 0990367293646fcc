// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"

	"github.com/drogue-iot/ajour/pkg/build"
)

func second(n int) time.Time { return now.Add(time.Duration(n) * time.Second) }

// ended is a step that ran from one second to a later one, by the clock of its node.
func ended(name string, from, to int, code int32, why string) v1.StepState {
	s := v1.StepState{Name: name, TerminationReason: why}
	s.Terminated = &corev1.ContainerStateTerminated{
		ExitCode: code, StartedAt: metav1.NewTime(second(from)), FinishedAt: metav1.NewTime(second(to)),
	}
	return s
}

func running(name string) v1.StepState { return step(name, -1) }

// taskRun is a TaskRun that started in the first second.
func taskRun(status corev1.ConditionStatus, reason string, steps ...v1.StepState) *v1.TaskRun {
	tr := &v1.TaskRun{}
	tr.Status.StartTime = &metav1.Time{Time: second(1)}
	tr.Status.Steps = steps
	tr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: status, Reason: reason})
	return tr
}

func TestSteps(t *testing.T) {
	t.Parallel()
	const unknown, yes, no = corev1.ConditionUnknown, corev1.ConditionTrue, corev1.ConditionFalse
	type tasks = map[string]*v1.TaskRun
	done := func(name string, state build.StepState, from, to int, code int32) build.Step {
		return build.Step{Name: name, State: state, Started: second(from), Completed: second(to), ExitCode: code}
	}
	runs := func(name string, from int) build.Step {
		return build.Step{Name: name, State: build.StepRunning, Started: second(from)}
	}
	only := func(name string, state build.StepState) build.Step { return build.Step{Name: name, State: state} }
	const fetch, compile, publish = "fetch-source", "build-firmware", "publish"
	for _, tt := range []struct {
		name  string
		run   corev1.ConditionStatus
		tasks tasks
		want  []build.Step
	}{
		{"of a build that waits", unknown, nil, []build.Step{
			only(fetch, build.StepWaiting), only(compile, build.StepWaiting), only(publish, build.StepWaiting),
		}},
		{"of one pod run from the end of the one before", unknown, tasks{
			"firmware": taskRun(unknown, "Running", ended("fetch", 2, 4, 0, "Completed"), running("build"), running("publish")),
		}, []build.Step{
			done(fetch, build.StepSucceeded, 2, 4, 0), runs(compile, 4), only(publish, build.StepWaiting),
		}},
		{"of pods of their own run from the start of those", unknown, tasks{
			fetch: taskRun(yes, "Succeeded", ended("fetch", 1, 2, 0, "Completed")), compile: taskRun(unknown, "Running", running("build")),
		}, []build.Step{
			done(fetch, build.StepSucceeded, 1, 2, 0), runs(compile, 2), only(publish, build.StepWaiting),
		}},
		{"of a build that succeeded", yes, tasks{
			"firmware": taskRun(
				yes, "Succeeded", ended("fetch", 1, 4, 0, "Completed"), ended("build", 1, 6, 0, "Completed"),
				ended("publish", 1, 7, 0, "Completed"),
			),
		}, []build.Step{
			done(fetch, build.StepSucceeded, 1, 4, 0), done(compile, build.StepSucceeded, 4, 6, 0),
			done(publish, build.StepSucceeded, 6, 7, 0),
		}},
		{"after one that failed are skipped", no, tasks{
			"firmware": taskRun(
				no, "Failed", ended("fetch", 1, 4, 0, "Completed"), ended("build", 1, 6, 2, "Error"),
				ended("publish", 1, 7, 1, "Skipped"),
			),
		}, []build.Step{
			done(fetch, build.StepSucceeded, 1, 4, 0), done(compile, build.StepFailed, 4, 6, 2),
			only(publish, build.StepSkipped),
		}},
		{"after one that was cancelled are skipped", no, tasks{
			"firmware": taskRun(
				no, "TaskRunCancelled", ended("fetch", 1, 4, 0, "Completed"), ended("build", 1, 6, 1, "TaskRunCancelled"),
				ended("publish", 1, 6, 1, "TaskRunCancelled"),
			),
		}, []build.Step{
			done(fetch, build.StepSucceeded, 1, 4, 0), done(compile, build.StepCancelled, 4, 6, 1),
			only(publish, build.StepSkipped),
		}},
		{"of a build whose TaskRuns are gone are not known", yes, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pr := started(render(t))
			pr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: tt.run})
			got, ours := observe(pr, tt.tasks)
			if diff := cmp.Diff(tt.want, got.Steps); diff != "" || !ours {
				t.Error(ours, diff)
			}
		})
	}
}
