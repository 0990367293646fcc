// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"fmt"
	"log/slog"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	clientv1 "github.com/tektoncd/pipeline/pkg/client/clientset/versioned/typed/pipeline/v1"
	"k8s.io/client-go/gentype"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	coreclientv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

// Requests to the API server per second, and at once. Client-go's default of 5 would be the
// limit of the whole system; the API server protects itself.
const (
	qps   = 200
	burst = 400
)

// Cluster has the clients of one namespace of the cluster that this process runs in.
type Cluster struct {
	namespace string
	runs      *clientv1.TektonV1Client
	leanRuns  leanRuns
	leanTasks leanTasks
	briefs    metadata.Interface
	core      *coreclientv1.CoreV1Client
	leases    *coordinationv1.CoordinationV1Client
}

// Connect returns the clients of a namespace. It does not call the API server. What client-go
// has to say, about a watch that broke or an election, goes to the log.
func Connect(namespace string, log *slog.Logger) (*Cluster, error) {
	klog.SetSlogLogger(log)
	rc, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("find cluster: %w", err)
	}
	return connect(rc, namespace)
}

func connect(rc *rest.Config, namespace string) (c *Cluster, err error) {
	rc.QPS, rc.Burst, rc.UserAgent = qps, burst, "ajour"
	// The API server is near, and takes longer to compress a list than to send it.
	rc.DisableCompression = true
	c = &Cluster{namespace: namespace}
	if c.runs, err = clientv1.NewForConfig(rc); err != nil {
		return nil, fmt.Errorf("connect to Tekton: %w", err)
	}
	lean, params, err := leanRESTClient(rc)
	if err != nil {
		return nil, err
	}
	c.leanRuns.client = gentype.NewClientWithList("pipelineruns", lean, params, namespace,
		func() *leanRun { return &leanRun{} }, func() *leanList[leanRun] { return &leanList[leanRun]{} })
	c.leanTasks.client = gentype.NewClientWithList("taskruns", lean, params, namespace,
		func() *leanTask { return &leanTask{} }, func() *leanList[leanTask] { return &leanList[leanTask]{} })
	if c.briefs, err = metadata.NewForConfig(rc); err != nil {
		return nil, fmt.Errorf("connect to Tekton: %w", err)
	}
	if c.core, err = coreclientv1.NewForConfig(rc); err != nil {
		return nil, fmt.Errorf("connect to cluster: %w", err)
	}
	if c.leases, err = coordinationv1.NewForConfig(rc); err != nil {
		return nil, fmt.Errorf("connect to cluster: %w", err)
	}
	return c, nil
}

// Client returns a client that creates and changes runs. Its namespace is that of the cluster.
func (c *Cluster) Client(config Config) (*Client, error) {
	config.Namespace = c.namespace
	if err := config.Validate(); err != nil {
		return nil, err
	}
	tasks := c.runs.TaskRuns(c.namespace)
	return NewClient(c.runs.PipelineRuns(c.namespace), tasks, &podLogs{
		c.core.Pods(c.namespace), tasks, c.LogArchive(0),
	}, config), nil
}

// LogArchive returns the logs of ended builds. Of each step, so many bytes are archived.
func (c *Cluster) LogArchive(most int) *LogArchive {
	return NewLogArchive(c.core.ConfigMaps(c.namespace), most)
}

// Reflector returns a reflector that feeds a store.
func (c *Cluster) Reflector(s *Store, log *slog.Logger) *Reflector {
	briefs := func(resource string) Briefs {
		return c.briefs.Resource(v1.SchemeGroupVersion.WithResource(resource)).Namespace(c.namespace)
	}
	return NewReflector(s, Listers{
		Runs: c.leanRuns, RunBriefs: briefs("pipelineruns"), Tasks: c.leanTasks, TaskBriefs: briefs("taskruns"),
	}, log)
}

// Reaper returns a reaper of the pods of ended builds.
func (c *Cluster) Reaper(r *Reflector, log *slog.Logger) *Reaper {
	return NewReaper(c.core.Pods(c.namespace), r.TaskRunEnded, time.Now, log)
}
