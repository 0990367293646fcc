// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"fmt"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"
)

// pageSize is how many objects are read at once: all of an installation at full length
// would not fit into the memory of a service.
const pageSize = 200

// listRuns returns the PipelineRuns that a selector finds, without what is not looked at.
func (c *Client) listRuns(ctx context.Context, selector string) ([]*v1.PipelineRun, error) {
	var all []*v1.PipelineRun
	err := eachOf(ctx, selector, func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
		return c.runs.List(ctx, opts)
	},
		func(o runtime.Object) {
			if pr, ok := o.(*v1.PipelineRun); ok {
				pr.ManagedFields, pr.Spec.Params, pr.Spec.TaskRunSpecs = nil, nil, nil
				pr.Status.PipelineSpec, pr.Status.Provenance, pr.Status.ChildReferences = nil, nil, nil
				all = append(all, pr.DeepCopy()) // the page is not kept
			}
		})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return all, nil
}

// listTasks is like listRuns, for TaskRuns.
func listTasks(ctx context.Context, tasks TaskRuns, selector string) ([]*v1.TaskRun, error) {
	var all []*v1.TaskRun
	err := eachOf(ctx, selector, func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
		return tasks.List(ctx, opts)
	},
		func(o runtime.Object) {
			if tr, ok := o.(*v1.TaskRun); ok {
				tr.ManagedFields, tr.Annotations, tr.Spec.Params = nil, nil, nil
				tr.Status.TaskSpec, tr.Status.Provenance, tr.Status.Results = nil, nil, nil
				all = append(all, tr.DeepCopy())
			}
		})
	if err != nil {
		return nil, fmt.Errorf("list task runs: %w", err)
	}
	return all, nil
}

func eachOf(ctx context.Context, selector string, list pager.ListPageFunc, f func(runtime.Object)) error {
	p := pager.New(list)
	p.PageSize, p.PageBufferSize = pageSize, 1
	return p.EachListItem(ctx, metav1.ListOptions{LabelSelector: selector}, func(o runtime.Object) error {
		f(o)
		return nil
	})
}
