// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/client/clientset/versioned/fake"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

// outputs are what steps printed, by their names in the TaskRun. What is missing is gone.
type outputs map[string]string

func (o outputs) Log(_ context.Context, _ *v1.TaskRun, step string, _ build.LogOptions) (io.ReadCloser, error) {
	text, ok := o[step]
	switch {
	case !ok:
		return nil, build.ErrLogGone
	case text == "away":
		return nil, errors.New("away")
	default:
		return io.NopCloser(strings.NewReader(text)), nil
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	tasks := []string{"fetch-source", "build-firmware", "publish"}
	all := outputs{"fetch": "a", "build": "b", "publish": "c"}
	for name, tt := range map[string]struct {
		outputs outputs
		tasks   []string
		step    string
		want    string
		err     string
	}{
		"has all steps in their order":               {all, tasks, "", "fetch-source: a, build-firmware: b, publish: c", ""},
		"has one step":                               {all, tasks, "build-firmware", "build-firmware: b", ""},
		"ends with the last step that ran":           {all, tasks[:2], "", "fetch-source: a, build-firmware: b", ""},
		"says which step is gone":                    {outputs{"build": "b"}, tasks, "", "fetch-source gone, build-firmware: b, publish gone", ""},
		"is gone with all pods":                      {outputs{}, tasks, "", "", "log gone"},
		"is gone with the pod of the step":           {outputs{"fetch": "a"}, tasks, "publish", "", "log gone"},
		"is gone with the TaskRuns":                  {all, nil, "", "", "log gone"},
		"fails if the cluster is away":               {outputs{"fetch": "away"}, tasks, "", "", "away"},
		"fails in the middle if the cluster is away": {outputs{"fetch": "a", "build": "away"}, tasks, "", "fetch-source: a", "away"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pr := started(render(t))
			pr.UID = "uid"
			pr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue})
			clients := fake.NewSimpleClientset(pr)
			for _, task := range tt.tasks {
				tr := taskRun(corev1.ConditionTrue, "Succeeded")
				tr.Name, tr.Namespace = pr.Name+"-"+task, pr.Namespace
				tr.Labels = map[string]string{"tekton.dev/pipelineRun": pr.Name, "tekton.dev/pipelineTask": task}
				tr.OwnerReferences = []metav1.OwnerReference{{Name: pr.Name, UID: pr.UID, Controller: new(true)}}
				if err := clients.Tracker().Add(tr); err != nil {
					t.Fatal(err)
				}
			}
			api := clients.TektonV1()
			client := tekton.NewClient(api.PipelineRuns(pr.Namespace), api.TaskRuns(pr.Namespace), tt.outputs, tekton.Config{})
			var got []string
			err := client.Log(t.Context(), id, build.LogOptions{Step: tt.step}, func(step string, output io.Reader) error {
				if output == nil {
					got = append(got, step+" gone")
					return nil
				}
				text, err := io.ReadAll(output)
				got = append(got, step+": "+string(text))
				return err
			})
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Error(err)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, ", ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
