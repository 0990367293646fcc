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
)

// maxPodLog bounds what is read of one step's output, in bytes.
const maxPodLog = 16 << 20

// podLogs reads the output of steps from their pods.
type podLogs struct {
	pods  coreclientv1.PodInterface
	tasks clientv1.TaskRunInterface
}

// Log implements Logs.
func (l *podLogs) Log(ctx context.Context, tr *v1.TaskRun, step string, follow bool) (log io.ReadCloser, err error) {
	limit := int64(maxPodLog)
	err = wait.PollUntilContextCancel(ctx, pollEvery, true, func(ctx context.Context) (bool, error) {
		if tr.Status.PodName != "" {
			log, err = l.pods.GetLogs(
				tr.Status.PodName,
				&corev1.PodLogOptions{Container: "step-" + step, Follow: follow, LimitBytes: &limit},
			).Stream(
				ctx,
			)
			// A container that has not started yet is a bad request.
			if err == nil || !(apierrors.IsNotFound(err) || apierrors.IsBadRequest(err)) {
				return true, err
			}
		}
		if !follow || tr.IsDone() {
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

// Tail implements Logs.
func (l *podLogs) Tail(ctx context.Context, tr *v1.TaskRun, step string) (io.ReadCloser, error) {
	lines, limit := int64(400), int64(1<<20)
	return l.pods.GetLogs(
		tr.Status.PodName,
		&corev1.PodLogOptions{Container: "step-" + step, TailLines: &lines, LimitBytes: &limit},
	).Stream(
		ctx,
	)
}
