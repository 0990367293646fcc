// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"fmt"
	"io"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	clientv1 "github.com/tektoncd/pipeline/pkg/client/clientset/versioned/typed/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	coreclientv1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/drogue-iot/ajour/pkg/build"
)

// podLogs reads the output of steps from their pods, and what was archived of those that are gone.
type podLogs struct {
	pods    coreclientv1.PodInterface
	tasks   clientv1.TaskRunInterface
	archive *LogArchive
}

// Log implements Logs.
func (l *podLogs) Log(
	ctx context.Context, tr *v1.TaskRun, step string, o build.LogOptions,
) (log io.ReadCloser, err error) {
	options := &corev1.PodLogOptions{
		Container: "step-" + step, Follow: o.Follow, Timestamps: o.Timestamps,
	}
	if o.Tail > 0 {
		options.TailLines = new(int64(o.Tail))
	}
	err = wait.PollUntilContextCancel(ctx, pollEvery, true, func(ctx context.Context) (bool, error) {
		if tr.Status.PodName != "" {
			log, err = l.pods.GetLogs(tr.Status.PodName, options).Stream(ctx)
			switch {
			case err == nil:
				return true, nil
			case apierrors.IsNotFound(err) && tr.IsDone():
				log, err = l.archive.open(ctx, tr.Labels[labelPipelineRun], step, o)
				return err == nil, err
			case !apierrors.IsNotFound(err) && !apierrors.IsBadRequest(err): // a container that has not started yet
				return false, err
			}
		}
		if !o.Follow || tr.IsDone() {
			log = io.NopCloser(strings.NewReader(""))
			return true, nil
		}
		now, err := l.tasks.Get(ctx, tr.Name, metav1.GetOptions{})
		if err != nil {
			return false, fmt.Errorf("get task run: %w", err)
		}
		tr = now
		return false, nil
	})
	return log, err
}
