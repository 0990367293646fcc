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
	coreclientv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// Requests to the API server per second, and at once. Client-go's default of 5
// would be the limit of the whole system; the API server protects itself.
const (
	qps   = 200
	burst = 400
)

// maxPodLog bounds what is read of one step's output.
const maxPodLog = 16 << 20

// Connect returns a client of the cluster that this process runs in.
func Connect(c Config) (*Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	runs, core, err := clients()
	if err != nil {
		return nil, err
	}
	tasks := runs.TaskRuns(c.Namespace)
	return NewClient(runs.PipelineRuns(c.Namespace), tasks, &podLogs{core.Pods(c.Namespace), tasks}, c), nil
}

func clients() (*clientv1.TektonV1Client, *coreclientv1.CoreV1Client, error) {
	rc, err := inCluster()
	if err != nil {
		return nil, nil, err
	}
	runs, err := clientv1.NewForConfig(rc)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to Tekton: %w", err)
	}
	core, err := coreclientv1.NewForConfig(rc)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to cluster: %w", err)
	}
	return runs, core, nil
}

func inCluster() (*rest.Config, error) {
	rc, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("find cluster: %w", err)
	}
	rc.QPS, rc.Burst, rc.UserAgent = qps, burst, "ajour"
	return rc, nil
}

// podLogs reads the output of steps from their pods.
type podLogs struct {
	pods  coreclientv1.PodInterface
	tasks clientv1.TaskRunInterface
}

// Log implements Logs.
func (l *podLogs) Log(ctx context.Context, tr *v1.TaskRun, step string, follow bool) (io.ReadCloser, error) {
	limit := int64(maxPodLog)
	for wait := shortWait; ; wait = longer(wait) {
		if tr.Status.PodName != "" {
			r, err := l.pods.GetLogs(tr.Status.PodName, &corev1.PodLogOptions{Container: "step-" + step, Follow: follow, LimitBytes: &limit}).Stream(ctx)
			// A container that has not started yet is a bad request.
			if err == nil || !(apierrors.IsNotFound(err) || apierrors.IsBadRequest(err)) {
				return r, err
			}
		}
		if !follow || tr.IsDone() {
			return io.NopCloser(strings.NewReader("")), nil
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
		var err error
		if tr, err = l.tasks.Get(ctx, tr.Name, metav1.GetOptions{}); err != nil {
			return nil, fmt.Errorf("get task run: %w", err)
		}
	}
}

// Tail implements Logs.
func (l *podLogs) Tail(ctx context.Context, tr *v1.TaskRun, step string) (io.ReadCloser, error) {
	lines, limit := int64(40), int64(1<<20)
	return l.pods.GetLogs(tr.Status.PodName, &corev1.PodLogOptions{Container: "step-" + step, TailLines: &lines, LimitBytes: &limit}).Stream(ctx)
}
